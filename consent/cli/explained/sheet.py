"""Say of a style sheet, or of a file of speculation rules, which of its addresses are held, and why."""

from __future__ import annotations

from consent.cli.explained.page import LONGEST_SHOWN, Done, Explanation, Part
from consent.cli.explained.recorder import UNDECLARED, Reason, Recorder
from consent.gate import charset, code, css
from consent.gate.inquest import verdict_of_address
from consent.gate.rules import Rules
from consent.gating import encoding_of, gated_whole
from consent.kinds import Kind


def explain_sheet(
    body: bytes, *, kind: Kind, content_type: str, rules: Rules, allowed: frozenset[str], address: str = ""
) -> Explanation:
    """Return what the gate does to a style sheet or to speculation rules: one part for each address, and the whole.

    Args:
        body: what the app sends.
        kind: which of the two it is.
        content_type: its `Content-Type` header.
        rules: the site's rules.
        allowed: the keys of the services and purposes that are agreed to.
        address: its own absolute address, where it is known.
    """
    encoding = encoding_of(kind, content_type, body)
    output, parked, found = gated_whole(kind, rules.view(allowed), body, encoding=encoding, address=address)
    text = body.decode(charset.codec(encoding), "replace")
    recorder = Recorder(rules, allowed)
    bases = rules.page(address)
    parts = []
    for value in dict.fromkeys(code.strings(text) if kind is Kind.RULES else css.addresses(text)):
        held = verdict_of_address(recorder.view, value, bases=bases) is not None
        reasons = recorder.taken()
        if reasons or kind is Kind.SHEET:
            parts.append(
                Part(
                    line=text.count("\n", 0, max(text.find(value), 0)) + 1,
                    name="(address)",
                    text=value[:LONGEST_SHOWN],
                    done=Done.REMOVED if held else Done.REPORTED if _is_reported(reasons) else Done.PASSED,
                    services=tuple(dict.fromkeys(reason.service for reason in reasons)),
                    reasons=reasons,
                )
            )
    if parked and output in (b"", b"{}"):
        note = (
            "what is held cannot be taken out of this sheet without touching the rest, so that nothing of it is sent"
            if kind is Kind.SHEET
            else "these rules could load what is held ahead of time, so that none is sent"
        )
        services = tuple(sorted(parked))
        parts.append(Part(line=1, name="(whole)", text="", done=Done.EMPTIED, services=services, note=note))
    return Explanation(
        headers=(),
        tags=tuple(sorted(parts, key=lambda part: part.line)),
        inserted=(),
        parked=frozenset(parked),
        found=frozenset(found),
        output=output,
    )


def _is_reported(reasons: tuple[Reason, ...]) -> bool:
    return any(reason.service == UNDECLARED for reason in reasons)
