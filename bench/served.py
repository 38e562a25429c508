"""Serve one invented article on loopback TLS: with us, with each of four consent managers from npm, and without any.

Every way gets the same article, the same six services of four purposes, the same compression (gzip at its best level)
and the same caching of scripts and sheets (for ever). Each package is set up as its documentation says, in the way that
costs the visitor least: the production build in one language, only the style sheets it needs, `defer`, the sheet at the
end of the body where it holds up nothing, and everything named by the page itself so that it comes at once. All
services are scripts, because not every package can hold back an iframe by itself.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import random
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.pages import article, sheet
from consent import ConsentMiddleware
from consent.testing import Clock, site
from tests.packages import fetch

SERVICES = {
    "postbox": ("Postbox Comments", "functional"),
    "readers": ("Reader statistics", "analytics"),
    "heatline": ("Heatline", "analytics"),
    "adquay": ("Adquay", "marketing"),
    "lanternreel": ("Lanternreel", "media"),
    "chirrup": ("Chirrup", "media"),
}
"""The title and the purpose of every service; each is one script on a host of its own."""
SETUPS = Path(__file__).parent / "setups"
FOR_EVER = "public, max-age=31536000, immutable"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The night ferry - The Meridian</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/own/meridian.css">
</head>
<body>
<header><a href="/">The Meridian</a></header>
<main><article>
<h1>The last boat leaves at ten</h1>
{picture}{text}{tags}
</article></main>
<footer><p>Meridian Media Ltd, Dublin</p></footer>
{end}</body>
</html>
"""
_PICTURE = '<figure><img src="/own/ferry.png" alt="The ferry at the quay" width="640" height="360"></figure>\n'
_LAYOUT = b"""body{margin:0;font:1.0625rem/1.5 Georgia,serif;color:#222}header,footer{padding:1rem;background:#eee}
article{max-width:40rem;margin:0 auto;padding:0 1rem}figure{margin:0 -1rem}img{display:block;width:100%;height:auto}
"""
_POLICY = """+++
title = "{title}"
effective = 2026-01-01
material = true
summary = "The first version."
+++

What we do with data about you.
"""


@dataclass(frozen=True, kw_only=True)
class Way:
    """Say how a page asks: the tag of a service that is held back, what the body ends with, and where to look."""

    name: str
    tag: str
    end: str = ""
    files: tuple[str, ...] = ()
    """What is served under `/npm/NAME/`, as paths in the package; several joined by `+` make one file."""
    banner: str = "#none"
    accept: str = "#none"
    reject: str = "#none"


def _sheet(name: str, file: str) -> str:
    return f'<link rel="stylesheet" href="/npm/{name}/{file}">\n'


def _scripts(name: str, *files: str) -> str:
    return "".join(f'<script defer src="/npm/{name}/{file}"></script>\n' for file in files)


_LIVE = '<script async src="{src}"></script>'
_COMPONENTS = "+".join(f"dist/css-components/{part}.css" for part in ("base", "light-scheme", "consent-modal"))
WAYS = (
    Way(name="nothing", tag="<template>" + _LIVE + "</template>"),
    Way(
        name="asgi-consent",
        tag=_LIVE,
        banner="#cst",
        accept='#cst button[value="accept_all"]',
        reject='#cst button[value="reject_all"]',
    ),
    Way(
        name="vanilla-cookieconsent",
        tag='<script type="text/plain" data-category="{purpose}" data-service="{key}" data-src="{src}"></script>',
        end=_sheet("vanilla-cookieconsent", "light.css")
        + _scripts("vanilla-cookieconsent", "cookieconsent.umd.js", "setup.js"),
        files=(
            f"{_COMPONENTS}+dist/css-components/preferences-modal.css=light.css",
            "dist/cookieconsent.umd.js",
        ),
        banner="#cc-main .cm",
        accept='#cc-main .cm [data-role="all"]',
        reject='#cc-main .cm [data-role="necessary"]',
    ),
    Way(
        name="klaro",
        tag='<script type="text/plain" data-type="text/javascript" data-name="{key}" data-src="{src}"></script>',
        end=_sheet("klaro", "klaro.min.css") + _scripts("klaro", "setup.js", "klaro-no-css.js"),
        files=("dist/klaro.min.css", "dist/klaro-no-css.js"),
        banner=".klaro .cookie-notice",
        accept=".klaro .cookie-notice .cm-btn-success",
        reject=".klaro .cookie-notice .cn-decline",
    ),
    Way(
        name="orejime",
        tag='<template data-purpose="{key}">' + _LIVE + "</template>",
        end=_sheet("orejime", "orejime-standard.css") + _scripts("orejime", "setup.js", "orejime-standard-en.js"),
        files=("dist/orejime-standard.css", "dist/orejime-standard-en.js"),
        banner=".orejime-Banner",
        accept=".orejime-Banner-saveButton",
        reject=".orejime-Banner-declineButton",
    ),
    Way(
        name="tarteaucitronjs",
        tag="",
        end=_sheet("tarteaucitronjs", "tarteaucitron.min.css")
        + _scripts("tarteaucitronjs", "tarteaucitron.min.js", "tarteaucitron.en.min.js", "setup.js"),
        files=("css/tarteaucitron.min.css", "tarteaucitron.min.js", "lang/tarteaucitron.en.min.js"),
        banner="#tarteaucitronAlertBig",
        accept="#tarteaucitronPersonalize2",
        reject="#tarteaucitronAllDenied2",
    ),
)


def _page(way: Way, port: int, *, picture: bool) -> str:
    tags = "\n".join(
        way.tag.format(key=key, purpose=purpose, src=f"https://{key}.localhost:{port}/tag.js")
        for key, (_, purpose) in SERVICES.items()
    )
    body = article(16_000).decode().partition("</h1>\n")[2].partition("</article>")[0]
    # The text alone: what an article of the other benchmarks loads by itself is on hosts that are not there.
    text = "\n".join(line for line in body.splitlines() if line.startswith("<p"))
    return _PAGE.format(picture=_PICTURE if picture else "", text=text, tags=tags, end=way.end)


def _png(width: int, height: int) -> bytes:
    """Return a picture of about 35 KB: waves with some grain, as the picture of an article has them."""
    grain = random.Random(7)  # noqa: S311 - a picture, no secret
    rows = b"".join(
        b"\0" + bytes((x * y // 900 + (x // 9) % 40 + grain.randrange(0, 3)) & 0xFC for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def _policies(folder: Path) -> Path:
    """Write the two policies that every way links to; what they say is never asked for here."""
    for slug in ("privacy", "cookies"):
        path = folder / "policies" / slug / "1.en.md"
        path.parent.mkdir(parents=True)
        path.write_text(_POLICY.format(title=f"{slug.capitalize()} policy"))
    return folder / "policies"


def _packaged(way: Way, folder: Path) -> dict[str, bytes]:
    package = fetch(way.name, folder)
    found = {"setup.js": (SETUPS / f"{way.name}.js").read_bytes()}
    for file in way.files:
        parts, _, name = file.partition("=")
        data = b"".join((package / part).read_bytes() for part in parts.split("+"))
        found[name or file.rpartition("/")[2]] = data
    return found


def _app(folder: Path, port: int) -> ASGIApp:
    """Return the app that serves every way, each under a host of its own, and the services under theirs."""
    pages = {f"{way.name}.localhost": way for way in WAYS}
    npm = {
        f"/npm/{way.name}/{name}": data for way in WAYS if way.files for name, data in _packaged(way, folder).items()
    }
    own = {"/own/meridian.css": _LAYOUT + sheet(6_000, every=0), "/own/ferry.png": _png(640, 360)}
    types = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = request.url.path
        way = pages.get(request.url.hostname or "")
        response: Response
        if way is None:
            response = Response(
                "window.loaded = 1;", media_type="text/javascript", headers={"cache-control": "no-store"}
            )
        elif (data := (npm | own).get(path)) is not None:
            kind = types[Path(path).suffix]
            response = Response(data, media_type=kind, headers={"cache-control": FOR_EVER})
        else:
            response = HTMLResponse(_page(way, port, picture="text" not in path), headers={"cache-control": "no-cache"})
        await response(scope, receive, send)

    ours = site(
        clock=Clock(time.time()),
        site_name="The Meridian",
        origins=(f"https://asgi-consent.localhost:{port}",),
        policies_dir=_policies(folder),
        services={
            key: {"title": title, "provider": f"{title} Ltd", "purpose": purpose, "hosts": [f"{key}.localhost"]}
            for key, (title, purpose) in SERVICES.items()
        },
    )
    guarded = ConsentMiddleware(answer, site=ours)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        host = Request(scope).url.hostname if scope["type"] == "http" else "asgi-consent.localhost"
        await (guarded if host == "asgi-consent.localhost" else answer)(scope, receive, send)

    return GZipMiddleware(served)


def _certificate(folder: Path) -> tuple[Path, str]:
    """Return a certificate with its key, and the digest of its public key that a browser can be told to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return path, base64.b64encode(hashlib.sha256(public).digest()).decode()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[int, str]]:
    """Serve all ways; give the port and the digest of the certificate's public key."""
    certificate, trusted = _certificate(folder)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    config = uvicorn.Config(_app(folder, port), log_level="error", ws="none", ssl_certfile=str(certificate))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the pages are not served")
        time.sleep(0.02)
    try:
        yield port, trusted
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
