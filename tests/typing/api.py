"""Use the public names as a site would; this file is only type-checked, never run."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

import consent
from consent import Consent, ConsentMiddleware, ConsentSettings, testing
from consent.integrations.jinja import consent_context
from consent.site import Site


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


# One line, in every framework.
app = Starlette()
app.add_middleware(ConsentMiddleware)
app.add_middleware(ConsentMiddleware, settings=ConsentSettings())
listed = Starlette(middleware=[Middleware(ConsentMiddleware), Middleware(ConsentMiddleware, settings=None)])
fast = FastAPI()
fast.add_middleware(ConsentMiddleware)
wrapped: ConsentMiddleware = ConsentMiddleware(bare)
explicit: ConsentMiddleware = ConsentMiddleware(bare, ConsentSettings(site_name="The Meridian"))

# Settings from arguments and from a file.
settings: ConsentSettings = ConsentSettings(
    secret_keys=("a long random text",),
    origins=("https://meridian.example",),
    services={"youtube": {}, "reader-stats": {"purpose": "analytics", "hosts": ["stats.meridian.example"]}},
)
from_file: ConsentSettings = ConsentSettings.from_toml("consent.toml")
from_path: ConsentSettings = ConsentSettings.from_toml(Path("consent.toml"), undeclared="hold")
folder: Path = settings.folder
version: str = consent.__version__


async def page(request: Request) -> PlainTextResponse:
    visitor: Consent = request.state.consent
    allowed: bool = visitor.allows("analytics") or visitor.allows("reader-stats")
    answered: bool = visitor.answered
    status: str = visitor.status
    regime: str = visitor.regime
    language: str = visitor.language
    digest: str = visitor.notice.digest
    granted: bool = visitor.choice is not None and visitor.choice.grants
    return PlainTextResponse(f"{allowed} {answered} {status} {regime} {language} {digest} {granted}")


templates = Jinja2Templates("templates", context_processors=[consent_context])

# A site's own tests.
clock: testing.Clock = testing.Clock()
site: Site = testing.site(clock=clock, services={"youtube": {}})
client = TestClient(ConsentMiddleware(bare, site=site), base_url="https://testserver")
testing.grant(client, "analytics", "youtube")
testing.refuse(client)
testing.withdraw(client, prefix="/privacy")
clock.advance(60)
