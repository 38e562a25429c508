"""Answer in the app's place, where its answer cannot be passed or there is none."""

from __future__ import annotations

from starlette.types import Message, Send

from consent.marking import RawHeaders

_NO_STORE = (b"cache-control", b"no-store")


async def answer_in_words(send: Send, status: int, text: str, *extra: tuple[bytes, bytes]) -> None:
    """Answer with a line of text that nobody stores."""
    body = text.encode()
    plain = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())
    await _answer(send, status, [*plain, _NO_STORE, *extra], body)


async def answer_with_nothing(send: Send, raw: RawHeaders) -> None:
    """Answer a redirect that is held with its cookies alone, which pictures, scripts and frames all take quietly."""
    cookies = [header for header in raw if header[0] == b"set-cookie"]
    await _answer(send, 204, [*cookies, _NO_STORE, (b"vary", b"Cookie, Sec-GPC")], b"")


async def _answer(send: Send, status: int, raw: RawHeaders, body: bytes) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": raw}
    await send(start)
    await send({"type": "http.response.body", "body": body})
