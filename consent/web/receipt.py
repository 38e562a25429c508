"""Show visitors their own records with proofs, by cookie or by receipt code, and erase them where they ask for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.choice.choice import refusal
from consent.choice.notice import SHORT_BYTES, Notice
from consent.errors import LedgerError, VerificationError
from consent.gate.headers import expire_cookies
from consent.ledger import code, receipt
from consent.ledger.store import Record
from consent.opening import NO_ORIGIN
from consent.site import Site
from consent.web import forms
from consent.web.answers import HOURLY, NO_REFERRER, NO_STORE, Answers, visitor_of, wants_json
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance
from consent.web.throttle import Throttle

SAID = ("erased", "erasing")
FILES = {
    f"{receipt.NAME}.json": "application/schema+json",
    f"{receipt.NAME}.context.json": "application/ld+json",
}
"""What is published beside receipts, with media types."""


class Receipts:
    """Handle `/privacy/receipt…`, `/privacy/erase` and `/privacy/schemas/…`."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._prefix = site.settings.prefix
        self._path = f"{self._prefix}/receipt"
        self._wrong_codes = Throttle(burst=20, seconds=3.0)

    async def show(self, request: Request) -> Response:
        """Show every choice of this visitor, and the text that was shown then."""
        consent_id = visitor_of(request).consent_id
        said = request.query_params.get("said", "")
        try:
            shown = await self._shown(consent_id)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        return self._page(
            request, shown=shown, has_id=consent_id is not None, said=said if said in SAID and not consent_id else None
        )

    async def download(self, request: Request) -> Response:
        """Serve the visitor's records as JSON-LD: exact bytes, inclusion proofs, and the checkpoint they lead to."""
        return await self._download(request, visitor_of(request).consent_id)

    async def published(self, request: Request) -> Response:
        """Serve the JSON Schema of receipts, or their JSON-LD context."""
        name = request.path_params["name"]
        if name not in FILES:
            return self._answers.error(request, 404)
        return self._answers.tagged(request, receipt.schema(name), media_type=FILES[name], cache=HOURLY)

    async def erase(self, request: Request) -> Response:
        """Withdraw everything, then forget which records are this visitor's."""
        if provenance(request, origins=self._site.settings.origins) is not Provenance.OWN:
            return self._answers.error(request, 403)
        consent_id = visitor_of(request).consent_id
        if consent_id is None:
            return RedirectResponse(self._path, 303, {"Cache-Control": NO_STORE})
        try:
            said = await self._forget(consent_id, decided_at=visitor_of(request).decided_at or 0)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        response = RedirectResponse(f"{self._path}?said={said}", 303, {"Cache-Control": NO_STORE})
        self._without_cookies(request, response)
        return response

    # -- by receipt code

    async def by_code(self, request: Request) -> Response:
        """Ask for a receipt code, make one, or show, give out or erase the records that one stands for."""
        site = self._site
        if request.method != "POST":
            return self._code_page(request, "enter")
        if provenance(request, origins=site.settings.origins) is not Provenance.OWN:
            return self._answers.error(request, 403)
        try:
            form = await forms.read(request, limit=site.settings.max_body)
            action, typed = form.one("do") or "show", form.one("code")
        except FormError as error:
            return self._answers.error(request, error.status)
        try:
            if action == "make":
                return await self._make(request)
            return await self._with_code(request, action, typed)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)

    async def _make(self, request: Request) -> Response:
        consent_id = visitor_of(request).consent_id
        made = code.fresh(self._site.random)
        given = 0
        if consent_id is not None:
            given = await asyncio.to_thread(self._site.ledger.give_code, consent_id, digest=code.digest(made))
        if not given:
            return RedirectResponse(self._path, 303, {"Cache-Control": NO_STORE})
        return self._code_page(request, "made", code=made)

    async def _with_code(self, request: Request, action: str, typed: str) -> Response:
        if action not in ("show", "download", "erase", "erase_now"):
            return self._answers.error(request, 400)
        if not self._wrong_codes.open:
            return self._answers.error(request, 429)
        consent_id = await asyncio.to_thread(self._site.ledger.consent_id_of, code.digest(typed))
        if consent_id is None:
            self._wrong_codes.count()
            return self._wrong(request)
        if action == "download":
            return await self._download(request, consent_id)
        if action == "erase":
            return self._code_page(request, "confirm", code=typed)
        if action == "erase_now":
            records = await self._records(consent_id)
            decided_at = max((seconds(json.loads(record.body)["decided_at"]) for record in records), default=0)
            said = await self._forget(consent_id, decided_at=decided_at)
            response = self._code_page(request, said)
            if consent_id == visitor_of(request).consent_id:
                self._without_cookies(request, response)
            return response
        return self._page(request, shown=await self._shown(consent_id), has_id=True, code=typed)

    def _wrong(self, request: Request) -> Response:
        if wants_json(request):
            words = self._site.pages.wording(visitor_of(request).consent.language)
            return self._answers.json({"error": 404, "message": words("receipt.code_wrong")}, status=404)
        return self._code_page(request, "wrong", status=404)

    def _code_page(self, request: Request, step: str, *, status: int = 200, code: str = "") -> Response:
        return self._answers.page(
            request,
            "consent_code.html",
            status=status,
            referrer=NO_REFERRER,
            here=f"{self._path}/code",
            step=step,
            code=code,
        )

    # -- reading

    async def _shown(self, consent_id: bytes | None) -> list[dict[str, Any]]:
        """Return the consent records of an id as the page shows them, the newest first."""
        records = await self._records(consent_id)
        entries = [(record.index, json.loads(record.body)) for record in records]
        notices = await self._notices([entry for _, entry in entries])
        return [
            {
                **{name: entry[name] for name in ("record", "status", "language", "late", "notice")},
                "index": index,
                "decided_at": seconds(entry["decided_at"]),
                "recorded_at": seconds(entry["recorded_at"]),
                "answers": _answers(entry, notices.get(entry["notice"])),
                "told": notices[entry["notice"]].content if entry["notice"] in notices else None,
                "notice_href": f"{self._prefix}/notices/{entry['notice']}" if entry["notice"] else None,
            }
            for index, entry in reversed(entries)
        ]

    async def _records(self, consent_id: bytes | None) -> list[Record]:
        if consent_id is None:
            return []
        records = await asyncio.to_thread(self._site.ledger.records_of, consent_id)
        return [record for record in records if json.loads(record.body)["kind"] == "consent"]

    async def _notices(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Notice]:
        """Return the archived notices that records name, by digest, as far as they can be read."""
        digests = {str(entry["notice"]) for entry in entries if entry["notice"]}
        found = [await self._site.archived_notice(bytes.fromhex(digest)[:SHORT_BYTES]) for digest in sorted(digests)]
        return {notice.digest: notice for notice in found if notice is not None and notice.digest in digests}

    async def _download(self, request: Request, consent_id: bytes | None) -> Response:
        try:
            records = await self._records(consent_id)
            notices = await self._notices([json.loads(record.body) for record in records])
            content = await asyncio.to_thread(self._receipt, records, notices)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        response = self._answers.json(content, referrer=NO_REFERRER)
        response.headers["Content-Disposition"] = 'attachment; filename="consent-receipt.json"'
        return response

    def _receipt(self, records: Sequence[Record], notices: Mapping[str, Notice]) -> dict[str, Any]:
        ledger, settings = self._site.ledger, self._site.settings
        checkpoint = ledger.seal() if records else ledger.checkpoint()
        home = f"{next(iter(settings.origins), NO_ORIGIN)}{self._prefix}"
        return receipt.Receipts(home=home, key=ledger.signer.verifier).of(
            [ledger.inclusion(record.index, checkpoint=checkpoint) for record in records],
            notices=notices,
            checkpoint=checkpoint,
            now=int(self._site.now()),
        )

    def _page(
        self, request: Request, *, shown: list[dict[str, Any]], has_id: bool, said: str | None = None, code: str = ""
    ) -> Response:
        return self._answers.page(
            request,
            "consent_receipt.html",
            referrer=NO_REFERRER,
            here=f"{self._path}/code" if code else self._path,
            records=shown,
            has_id=has_id,
            said=said,
            code=code,
            json_href=f"{self._path}.json" if shown else None,
        )

    # -- erasing

    async def _forget(self, consent_id: bytes, *, decided_at: int) -> str:
        """Withdraw and erase; return what can be said of it: `erased`, or `erasing` where the ledger cannot be reached.

        `decided_at` is when the newest cookie of this id was made, in Unix seconds. Raises LedgerError.
        """
        ledger, decided_at = self._site.ledger, max(int(self._site.now()), decided_at)
        erased = await asyncio.to_thread(ledger.erase, consent_id, reason="visitor", decided_at=decided_at)
        return "erasing" if erased is None else "erased"

    def _without_cookies(self, request: Request, response: Response) -> None:
        """Answer with the cookie of a refusal, and without the cookies of what needs a yes."""
        site, visitor = self._site, visitor_of(request)
        self._answers.clear_site_data(response)
        notice = visitor.consent.notice
        choice = refusal(notice, now=int(site.now()))
        for value in site.choice_headers(choice, notice=notice):
            response.headers.append("set-cookie", value)
        necessary = frozenset(service.key for service in site.catalogue.services if service.required)
        host = request.headers.get("host", "")
        for value in expire_cookies(
            visitor.cookies, site.catalogue, necessary, host=host, consent_cookie=site.cookie_name
        ):
            response.headers.append("set-cookie", value)


def _answers(entry: Mapping[str, Any], notice: Notice | None) -> list[dict[str, Any]]:
    """Return every answer of a record under the title that was shown, purposes first, each with its services."""
    purposes, services = entry["purposes"], entry["services"]
    content: Mapping[str, Any] = notice.content if notice else {"purposes": [], "services": []}
    titles = {one["key"]: one["title"] for name in ("purposes", "services") for one in content[name]}
    owner = {one["key"]: one["terms"]["purpose"] for one in content["services"]}
    order = [one["key"] for one in content["purposes"] if one["key"] in purposes]

    def answer(key: str, yes: bool) -> dict[str, Any]:
        return {"title": titles.get(key, key), "yes": yes, "services": []}

    shown = {key: answer(key, purposes[key]) for key in (*order, *(key for key in purposes if key not in order))}
    alone: list[dict[str, Any]] = []
    for key, yes in services.items():
        under = shown.get(owner.get(key, ""))
        (alone if under is None else under["services"]).append(answer(key, yes))
    return [*shown.values(), *alone]


def seconds(moment: str) -> int:
    """Return an entry's RFC 3339 time in Unix seconds."""
    return int(datetime.fromisoformat(moment).timestamp())
