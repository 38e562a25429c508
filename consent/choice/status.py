"""Name the states a choice can be in: the ten of ISO/IEC TS 27560 as the Data Privacy Vocabulary profiles them."""

from enum import StrEnum


class Status(StrEnum):
    """Say where a choice stands; only `given` and `renewed` allow anything.

    Source: W3C DPVCG, "Implementing ISO/IEC TS 27560", `dpv:ConsentStatus`.
    """

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    REQUEST_DEFERRED = "request-deferred"
    REFUSED = "refused"
    GIVEN = "given"
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    INVALIDATED = "invalidated"
