"""Tell visitors for whom services run before an answer that they do, and let them switch them off."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import MakeClient, MakeSite

REGIMES = {"US": "opt-out", "NZ": "notice-only"}
TICKED = re.compile(r'name="(?:purpose|service)" value="([^"]+)"[^>]* checked')


@pytest.mark.parametrize("country", REGIMES)
def test_open_regimes_say_what_runs(make_client: MakeClient, make_site: MakeSite, country: str) -> None:
    """Banner, choices and list of policies say what runs; the switches show it; a no ends it and is recorded so."""
    site = make_site(regimes=REGIMES, country_header="CF-IPCountry")
    client = make_client(site)
    client.headers["CF-IPCountry"] = country
    article, choices, index = (client.get(path).text for path in ("/", "/privacy/choices", "/privacy/"))
    assert "4 services are in use for:" in article
    assert "Switch all off" in article
    assert '<iframe src="https://player.lantern.example/1">' in article
    for page in (choices, index):
        assert "Until you answer, services are in use for: Statistics, Advertising, Embedded content." in page
        assert "Nothing that needs your yes" not in page
    assert TICKED.findall(choices) == ["analytics", "marketing", "media"]
    assert 'value="withdraw"' not in choices

    assert client.post("/privacy/choices", data={"choice": "reject_all", "next": "/"}).status_code == 303
    choices = client.get("/privacy/choices").text
    assert "You said no." in choices
    assert "in use for" not in choices
    assert not TICKED.findall(choices)
    assert 'data-consent-src="https://player.lantern.example/1"' in client.get("/").text
    (*_, last) = site.ledger.store.entries()
    assert json.loads(last)["regime"] == REGIMES[country]


def test_the_signal_is_not_said_to_run(make_client: MakeClient) -> None:
    """What the browser's opt-out signal turns off is neither named as in use nor shown as on."""
    client = make_client(regimes=REGIMES, country_header="CF-IPCountry")
    client.headers.update({"CF-IPCountry": "US", "Sec-GPC": "1"})
    assert "3 services are in use for:" in client.get("/").text
    choices = client.get("/privacy/choices").text
    assert "services are in use for: Statistics, Embedded content." in choices
    assert TICKED.findall(choices) == ["analytics", "media"]


def test_who_must_be_asked_first_is(make_client: MakeClient) -> None:
    """In a country that no regime names, nothing is said to run, and nothing is ticked."""
    client = make_client(regimes=REGIMES, country_header="CF-IPCountry")
    client.headers["CF-IPCountry"] = "IE"
    assert "We ask to use 4 services for:" in client.get("/").text
    choices = client.get("/privacy/choices").text
    assert "Nothing that needs your yes is loaded." in choices
    assert not TICKED.findall(choices)


@pytest.mark.parametrize("country", ["US", "IE"])
def test_an_old_cookie_brings_nothing_back(make_site: MakeSite, make_client: MakeClient, country: str) -> None:
    """After a withdrawal an earlier cookie is no yes, under a regime too where no answer would be one."""
    site = make_site(country_header="CF-IPCountry", regimes={"US": "opt-out"})
    client, thief = make_client(site), make_client(site)
    here = {"CF-IPCountry": country}
    shown = client.get("/privacy/state", headers=here).json()["notice"]
    client.post("/privacy/choices", data={"choice": "accept_all", "notice": shown}, headers=here)
    thief.cookies.update(dict(client.cookies))
    client.post("/privacy/choices", data={"choice": "withdraw"}, headers=here)
    state = thief.get("/privacy/state", headers=here).json()
    assert state["status"] == "withdrawn"
    assert set(state["allowed"]) == {"consent", "necessary"}
