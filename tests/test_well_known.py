"""Test what a site says at well-known addresses."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from consent import ConsentMiddleware
from consent.errors import ConfigurationError
from consent.middleware import GPC_PATH
from tests.conftest import MakeSite


def behind(make_site: MakeSite, **settings: object) -> TestClient:
    """Return a client of an app that answers at the address itself."""
    route = Route(GPC_PATH, lambda _: PlainTextResponse("the app"), methods=["GET", "POST"])
    return TestClient(ConsentMiddleware(Starlette(routes=[route]), site=make_site(**settings)))


def test_the_signal_is_declared(make_site: MakeSite) -> None:
    """A site that named the date says that it honours the signal, the same to everybody, for caches to keep."""
    client = behind(make_site, gpc_since="2026-11-22")
    answers = [client.get(GPC_PATH), client.get(GPC_PATH, headers={"sec-gpc": "1", "cookie": "__Host-consent=x"})]
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == {"gpc": True, "lastUpdate": "2026-11-22"}
        assert answer.headers["cache-control"].startswith("public, max-age=")
        assert not {"vary", "set-cookie"} & answer.headers.keys()
    head = client.head(GPC_PATH)
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
    assert client.post(GPC_PATH).text == "the app"


def test_the_app_declares_for_itself(make_site: MakeSite) -> None:
    """Without the date, the address is the app's."""
    assert behind(make_site).get(GPC_PATH).text == "the app"


def test_a_date_that_is_none(make_site: MakeSite) -> None:
    """What is no date is refused in one line that names the setting."""
    with pytest.raises(ConfigurationError, match="gpc_since"):
        make_site(gpc_since="soon")
