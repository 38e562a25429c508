"""Build sites: what is in force when, what is published once, and who agrees with whom."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consent import ConsentMiddleware, ConsentSettings, testing
from consent.choice.choice import acceptance, identified, refusal
from consent.site import Site
from tests.conftest import ORIGIN, SERVICES, MakeSite, page_app

POLICY = '+++\ntitle = "{title}"\neffective = {day}\nmaterial = {material}\nsummary = "S."\n+++\n# {title}\n\nText.\n'
EPOCH = datetime.fromtimestamp(testing.EPOCH, UTC)

WritePolicy = Callable[..., None]


@pytest.fixture
def settings() -> ConsentSettings:
    """Return the settings of a site with a ledger on disk."""
    return testing.settings(site_name="The Meridian", origins=(ORIGIN,), services=SERVICES, languages=("en", "uk"))


@pytest.fixture
def write(settings: ConsentSettings) -> WritePolicy:
    """Return a function that writes a policy of that site."""

    def make(
        name: str, *, day: str = "2026-03-01", material: bool = True, text: str = "", slug: str = "privacy"
    ) -> None:
        path: Path = settings.folder / "policies" / slug / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        front = POLICY.format(title=slug.title(), day=day, material=str(material).lower())
        path.write_text(front + text, encoding="utf-8")

    return make


@pytest.fixture
def started(settings: ConsentSettings, request: pytest.FixtureRequest) -> Callable[..., Site]:
    """Return a function that builds and starts a site of those settings."""

    def start(clock: testing.Clock | None = None) -> Site:
        site = Site(settings, clock=clock or testing.Clock())
        request.addfinalizer(site.close)
        site.start()
        return site

    return start


def kinds(site: Site) -> list[str]:
    """Return the kinds of a ledger's entries, in order."""
    return [json.loads(body)["kind"] for body in site.ledger.store.entries()]


# -- what is published


def test_publishing_once(write: WritePolicy, started: Callable[..., Site]) -> None:
    """Decision 26: policies and notices are published at the first start, and not again at the next."""
    write("1.en")
    write("1.uk")
    first = kinds(started())
    assert sorted(first) == ["notice-published"] * 2 + ["policy-published"] * 2
    assert kinds(started()) == first


def test_workers_agree(write: WritePolicy, settings: ConsentSettings) -> None:
    """Decision 26: several workers that start at once publish everything once, and sign with one key."""
    write("1.en")
    sites = [Site(settings, clock=testing.Clock()) for _ in range(4)]
    failures: list[BaseException] = []

    def start(site: Site) -> None:
        try:
            site.start()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=(site,)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(kinds(sites[0])) == ["notice-published"] * 2 + ["policy-published"]
    assert len({site.ledger.signer.verifier.text for site in sites}) == 1
    for site in sites:
        site.close()


def test_what_is_not_in_force_is_not_published(write: WritePolicy, started: Callable[..., Site]) -> None:
    """A version of tomorrow is not published today."""
    write("1.en")
    write("2.en", day="2027-02-01")
    site = started()
    assert kinds(site).count("policy-published") == 1
    assert site.edition(site.now()).versions == {"privacy": "1"}


def test_a_version_takes_effect_by_itself(write: WritePolicy, started: Callable[..., Site]) -> None:
    """Decision 26: at 00:00 UTC of its day a version is in force, its notice is another, and it is published."""
    write("1.en")
    write("2.en", day="2027-02-01")
    clock = testing.Clock()
    site = started(clock)
    client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
    testing.grant(client, "analytics")
    before = site.edition(site.now())
    turn = datetime(2027, 2, 1, tzinfo=UTC).timestamp()
    assert before.until == turn
    clock.now = turn - 1
    assert site.edition(site.now()) is before
    assert client.get("/privacy/state").json()["answered"]
    clock.now = turn
    assert site.edition(site.now()).versions == {"privacy": "2"}
    assert site.edition(site.now()).until is None
    state = client.get("/privacy/state").json()
    assert not state["answered"], "a material change asks again"
    assert "analytics" not in state["allowed"]
    testing.grant(client, "analytics")
    assert kinds(site).count("policy-published") == 2


def test_an_editorial_version_asks_nobody(write: WritePolicy, started: Callable[..., Site]) -> None:
    """Decision 11: a version that is not material leaves every choice as it is."""
    write("1.en")
    write("2.en", day="2027-02-01", material=False)
    clock = testing.Clock()
    client = TestClient(ConsentMiddleware(page_app, site=started(clock)), base_url="https://testserver")
    testing.grant(client, "analytics")
    clock.now = datetime(2027, 2, 1, tzinfo=UTC).timestamp()
    state = client.get("/privacy/state").json()
    assert (state["answered"], "analytics" in state["allowed"]) == (True, True)


def test_unfinished_policies_are_left_out(
    write: WritePolicy, started: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    """A policy with unfilled fields is not published, and the log says so."""
    write("1.en", text="Write to [[your address]].\n")
    caplog.set_level(logging.WARNING)
    site = started()
    assert site.edition(site.now()).versions == {}
    assert "1.en.md" in caplog.text


def test_a_site_without_policies(started: Callable[..., Site]) -> None:
    """A site without a folder of policies runs."""
    site = started()
    assert site.edition(site.now()).versions == {}
    client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
    assert client.get("/privacy/").status_code == 200


def test_notices_of_every_language(started: Callable[..., Site]) -> None:
    """There is one notice and one rendering for each language, and all ask for the same."""
    site = started()
    edition = site.edition(site.now())
    assert set(edition.notices) == set(edition.renderings) == {"en", "uk"}
    assert edition.notices["en"].digest != edition.notices["uk"].digest
    assert edition.notices["en"].services == edition.notices["uk"].services
    for language, document in edition.renderings.items():
        rendering = json.loads(document.data)
        assert rendering["notice"] == edition.notices[language].digest
        assert site.ledger.document(document.digest) is not None


# -- our own service


def test_our_own_cookies_are_declared(make_site: MakeSite) -> None:
    """The notice names our own cookies, as strictly necessary, with what they hold and for how long."""
    site = make_site()
    own = site.catalogue.service("consent")
    assert own is not None
    assert own.required
    assert [(one.name, one.lifetime) for one in own.cookies] == [
        ("__Host-consent", "P6M"),
        ("__Host-consent-once", "PT60S"),
        ("__Host-consent-language", "session"),
    ]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "__Host-consent"),
        ({"cookie_domain": "meridian.example"}, "__Secure-consent"),
        ({"insecure_cookies": True}, "consent"),
    ],
)
def test_the_cookies_name(make_site: MakeSite, values: dict[str, object], name: str) -> None:
    """The name says what browsers enforce."""
    assert make_site(**values).cookie_name == name


@pytest.mark.parametrize(
    ("validity", "granted", "refused"),
    [
        ("P6M", "2027-07-15T08:00:00", "2027-07-16T00:00:00"),
        ("P30D", "2027-02-14T08:00:00", "2027-02-15T00:00:00"),
        ("PT1H", "2027-01-15T09:00:00", "2027-01-16T01:00:00"),
    ],
)
def test_expiry(make_site: MakeSite, validity: str, granted: str, refused: str) -> None:
    """A grant ends to the second; a refuser's day is counted whole."""
    site = make_site(validity=validity)
    notice = site.edition(site.now()).notices["en"]
    now = int(site.now())
    grant = identified(acceptance(notice, now=now), consent_id=bytes(16))
    for choice, end in ((grant, granted), (refusal(notice, now=now), refused)):
        assert datetime.fromtimestamp(site.expiry(choice), UTC) == datetime.fromisoformat(f"{end}+00:00")


# -- languages


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "en"), ("EN", "en"), ("en-GB", "en"), ("uk-Cyrl-UA", "uk"), ("fr", None), ("", None), ("e", None)],
)
def test_a_pages_language(make_site: MakeSite, tag: str, language: str | None) -> None:
    """A page's tag means the site's own language of that name, or of its first part."""
    assert make_site(languages=("en", "uk")).spoken(tag) == language


def test_words_of_the_sites_own(make_site: MakeSite) -> None:
    """A site's own words stand in the banner and in the notice."""
    site = make_site(wording={"en": {"banner.accept_all": "Aye, all of it"}})
    client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
    assert "Aye, all of it" in client.get("/").text
    assert "Aye, all of it" in site.edition(site.now()).notices["en"].content["wording"].values()


def test_a_template_of_the_sites_own(tmp_path: Path, make_site: MakeSite) -> None:
    """A site's template of the same name stands in the place of ours, in that site only."""
    (tmp_path / "consent_link.html").write_text("<small>our own {{ t('banner.link') }}</small>")
    own, other = make_site(templates_dir=tmp_path), make_site()
    for site, found in ((own, True), (other, False)):
        client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
        testing.refuse(client)
        assert ("our own Privacy choices" in client.get("/").text) is found


def test_two_sites_in_one_process(make_site: MakeSite) -> None:
    """Two sites beside each other share nothing that shows."""
    one, two = make_site(site_name="The Meridian"), make_site(site_name="The Quay", prefix="/daten")
    for site, name, prefix in ((one, "The Meridian", "/privacy"), (two, "The Quay", "/daten")):
        client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
        page = client.get("/").text
        assert f"Your choice at {name}" in page
        assert f'action="{prefix}/choices"' in page
        assert f'href="{prefix}/assets/' in client.get(f"{prefix}/").text
