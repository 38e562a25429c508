"""Stream the ledger to an auditor with a token: entries by filter, page by page, and bundles."""

from __future__ import annotations

import asyncio
import importlib.util
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from consent.errors import LedgerError, VerificationError
from consent.ledger.bundle import stream_bundle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.entry import Draft
from consent.ledger.export import Span
from consent.ledger.formats import PARQUET, pieces
from consent.ledger.gaps import pruned, within
from consent.ledger.selection import Selection, SelectionError
from consent.ledger.tokens import Token
from consent.site import Site
from consent.web.answers import NO_STORE, Answers
from consent.web.auditors import Auditors

CHECKPOINT = "Consent-Checkpoint"
RANGE = "Consent-Range"
PRUNED = "Consent-Pruned"
BY = "audit-page"
BUNDLE = "bundle.zip"
MEDIA_TYPES = {
    "jsonl": "application/jsonl",
    "proofs.jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    PARQUET: "application/vnd.apache.parquet",
    BUNDLE: "application/zip",
}


class Exports:
    """Handle `/privacy/audit/entries.…` and `/privacy/audit/bundle.zip`; each export is itself an entry."""

    def __init__(self, site: Site, answers: Answers, auditors: Auditors) -> None:
        self._site = site
        self._answers = answers
        self._auditors = auditors
        self._path = f"{site.settings.prefix}/audit"

    async def entries(self, request: Request) -> Response:
        """Stream entries in the form that the address ends in, bound to one checkpoint, as the query chooses them.

        `limit` is how many places of the log one answer looks at, and `Link: rel="next"` leads on; `size` is the
        checkpoint to stay with, by the number of its entries.
        """
        form = request.path_params["form"]
        missing = form == PARQUET and importlib.util.find_spec("pyarrow") is None
        if missing or form == BUNDLE or form not in MEDIA_TYPES:
            return self._answers.error(request, 404)
        return await self._answered(request, form)

    async def bundle(self, request: Request) -> Response:
        """Stream a bundle, which verifies offline."""
        return await self._answered(request, BUNDLE)

    async def _answered(self, request: Request, form: str) -> Response:
        try:
            token = await self._auditors.of(request)
            if token is None or "records" not in token.scopes:
                return self._answers.error(request, 404)
            return await self._stream(request, token, form)
        except SelectionError as error:
            return self._refused(f"{error.field}: {error}")
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)

    async def _stream(self, request: Request, token: Token, form: str) -> Response:
        query = _fields(request)
        limit, size = _number(query, "limit"), _number(query, "size")
        if limit == 0:
            raise SelectionError("0 entries a page lead nowhere", field="limit")
        if form == BUNDLE and (limit, size) != (None, None):
            raise SelectionError("a bundle is of the newest checkpoint, and comes as a whole", field="limit or size")
        selection = Selection.read(query)
        checkpoint = await asyncio.to_thread(self._checkpoint, size)
        of = await asyncio.to_thread(selection.span, self._site.ledger.store, size=checkpoint.size)
        end = of.last if limit is None else min(of.last, of.first + limit)
        page = Span(first=of.first, last=end)
        headers = {**self._headers(checkpoint, page), "Content-Disposition": _named(form)}
        if form == BUNDLE:
            # Its own is newer by the entry about this export.
            del headers[CHECKPOINT], headers[RANGE]
        if end < of.last:
            follow = {**query, "first": [str(end)], "size": [str(checkpoint.size)], "limit": [str(limit)]}
            headers["Link"] = f'<{request.url.path}?{urlencode(follow, doseq=True)}>; rel="next"'
        headers[PRUNED] = str(await asyncio.to_thread(self._pruned, page))
        if request.method == "HEAD":
            return Response(headers=headers, media_type=MEDIA_TYPES[form])
        await self._record(token, form, page, selection=selection, size=checkpoint.size)
        store = self._site.ledger.store
        if form == BUNDLE:
            made = stream_bundle(self._site.ledger, selection=selection)
        else:
            made = pieces(store, form=form, places=selection.places(store, of=page), checkpoint=checkpoint)
        return StreamingResponse(made, media_type=MEDIA_TYPES[form], headers=headers)

    def _checkpoint(self, size: int | None) -> Checkpoint:
        ledger = self._site.ledger
        if size is None:
            try:
                return ledger.seal()
            except LedgerError:
                # Nothing is signed at present: what was signed last still stands.
                found = ledger.checkpoint()
                if found is None:
                    raise
                return found
        found = ledger.checkpoint(limit=size)
        if found is None or found.size != size:
            raise SelectionError(f"no checkpoint has {size} entries", field="size")
        return found

    def _pruned(self, of: Span) -> int:
        return within(pruned(self._site.ledger.store), first=of.first, last=of.last)

    async def _record(self, token: Token, form: str, of: Span, *, selection: Selection, size: int) -> None:
        content = {
            "format": form,
            "by": BY,
            "token": token.name,
            "scopes": list(token.scopes),
            "first": of.first,
            "last": of.last,
            "size": size,
            # Not by which values: an auditor can write whatever they like there, and this stays for ever.
            "filters": list(selection.filters),
        }
        await self._site.ledger.record(Draft(kind="exported", content=content, decided_at=int(self._site.now())))

    def _headers(self, checkpoint: Checkpoint, of: Span) -> dict[str, str]:
        return {
            "Cache-Control": NO_STORE,
            "X-Content-Type-Options": "nosniff",
            CHECKPOINT: " ".join(checkpoint.note.decode().split("\n")[:3]),
            RANGE: f"{of.first}-{of.last}/{checkpoint.size}",
        }

    def _refused(self, problem: str) -> Response:
        headers = {"Cache-Control": NO_STORE, "X-Content-Type-Options": "nosniff"}
        return Response(f"{problem}\n", 400, headers, "text/plain")


def _fields(request: Request) -> dict[str, list[str]]:
    """Return the query by field; those left empty, as a form sends them, choose nothing."""
    fields: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if value:
            fields.setdefault(name, []).append(value)
    return fields


def _number(query: dict[str, list[str]], name: str) -> int | None:
    given = query.pop(name, [])
    if len(given) > 1 or not all(one.isascii() and one.isdigit() and len(one) < 16 for one in given):
        raise SelectionError(f"{' '.join(given)!r} is no number", field=name)
    return int(given[0]) if given else None


def _named(form: str) -> str:
    return f'attachment; filename="consent-{"" if form == BUNDLE else "entries."}{form}"'
