"""Say what keeps a policy from being published."""

from __future__ import annotations

from collections.abc import Iterable

from consent.errors import PolicyError
from consent.policies.document import TABLE_FIELDS, PolicyVersion, Unfilled, fields, unfilled
from consent.policies.facts import Facts


def unset(document: PolicyVersion, *, facts: Facts) -> tuple[Unfilled, ...]:
    """Return the fields of a document that the site's settings should fill in and do not."""
    return tuple(
        Unfilled(line=one.line, text=one.name)
        for one in fields(document)
        if one.name not in TABLE_FIELDS and not one.optional and not facts.field(one.name).strip()
    )


def gaps(document: PolicyVersion, *, facts: Facts) -> tuple[Unfilled, ...]:
    """Return everything that keeps a document from being published."""
    return (*unfilled(document), *unset(document, facts=facts))


def refuse_unfilled(documents: Iterable[PolicyVersion], *, facts: Facts) -> None:
    """Raise PolicyError if a document has something still to be filled in, naming the first such place."""
    found = [
        (document, one, remedy)
        for document in documents
        for missing, remedy in (
            (unfilled(document), "Write the text in place of the double brackets, or delete the passage"),
            (unset(document, facts=facts), "Set {} in consent.toml"),
        )
        for one in missing
    ]
    if found:
        document, one, remedy = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise PolicyError(
            f"{one.text!r} is still to be filled in{more}",
            place=f"{document.place}, line {one.line}",
            remedy=remedy.format(one.text),
        )
