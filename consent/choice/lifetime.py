"""Read how long something is kept: ISO 8601 durations and the word `session`."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Hold one duration in calendar months and exact seconds, as ISO 8601-1 §5.5.2 writes it.

    A lifetime of `session` has neither: it ends with the browser's session.
    """

    months: int = 0
    seconds: int = 0
    session: bool = False

    @classmethod
    def parse(cls, text: str) -> Lifetime:
        """Read `P6M`, `P30D`, `PT20M` or `session`; raise ValueError for anything else."""
        if text == "session":
            return cls(session=True)
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a lifetime: write an ISO 8601 duration such as 'P30D', 'P6M', 'PT20M', or 'session'"
            )
        part = {name: int(value or 0) for name, value in match.groupdict().items()}
        return cls(
            months=part["years"] * 12 + part["months"],
            seconds=(part["weeks"] * 7 + part["days"]) * 86400
            + part["hours"] * 3600
            + part["minutes"] * 60
            + part["seconds"],
        )

    def after(self, start: datetime) -> datetime:
        """Return the moment this lifetime ends when it begins at `start`.

        Months are calendar months: 31 August and `P6M` end on the last day of February.
        """
        month = start.month - 1 + self.months
        year, month = start.year + month // 12, month % 12 + 1
        day = min(start.day, calendar.monthrange(year, month)[1])
        return start.replace(year=year, month=month, day=day) + timedelta(seconds=self.seconds)
