"""Read the pages under the prefix as visitors, programs and auditors do."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from consent import ConsentMiddleware, ConsentSettings, testing
from consent.site import Site
from tests.conftest import ORIGIN, SERVICES, MakeClient, page_app

POLICY = '+++\ntitle = "{title}"\neffective = {day}\nmaterial = true\nsummary = "S."\n+++\n# {title}\n\n{text}\n'
TEXTS = {
    "privacy/1.en.md": ("Privacy", "2026-03-01", "We keep little."),
    "privacy/1.uk.md": ("Приватність", "2026-03-01", "Ми зберігаємо мало."),
    "privacy/2.en.md": ("Privacy", "2026-10-01", "We keep even less."),
    "privacy/3.en.md": ("Privacy", "2027-06-01", "We keep nothing."),
    "cookies/1.en.md": ("Cookies", "2026-03-01", "No more than these."),
}
TOKEN = "auditor-token"


@pytest.fixture
def settings() -> ConsentSettings:
    """Return the settings of a site with policies in several versions, one of them of the future."""
    settings = testing.settings(
        site_name="The Meridian",
        origins=(ORIGIN,),
        services=SERVICES,
        languages=("en", "uk"),
        audit_tokens=(TOKEN,),
    )
    for name, (title, day, text) in TEXTS.items():
        path = settings.folder / "policies" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POLICY.format(title=title, day=day, text=text), encoding="utf-8")
    return settings


@pytest.fixture
def site(settings: ConsentSettings) -> Iterator[Site]:
    """Return that site, started."""
    site = Site(settings, clock=testing.Clock())
    site.start()
    yield site
    site.close()


@pytest.fixture
def client(site: Site, make_client: MakeClient) -> TestClient:
    """Return a visitor of it."""
    return make_client(site)


# -- policies


def test_the_index(client: TestClient) -> None:
    """The index lists every policy in force, and leads to the choice."""
    page = client.get("/privacy/").text
    for href in ("/privacy/policies/privacy", "/privacy/policies/cookies", "/privacy/choices", "/privacy/receipt"):
        assert f'href="{href}?lang=en"' in page


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("privacy", 200, "We keep even less."),
        ("cookies", 200, "No more than these."),
        ("privacy/1/en", 200, "We keep little."),
        ("privacy/1/uk", 200, "Ми зберігаємо мало."),
        ("privacy/2/en", 200, "We keep even less."),
        ("privacy/2/uk", 404, ""),
        ("privacy/3/en", 404, ""),
        ("privacy/3/en.md", 404, ""),
        ("privacy/3", 404, ""),
        ("privacy/4/en", 404, ""),
        ("privacy/1...3", 404, ""),
        ("privacy/1...", 404, ""),
        ("terms", 404, ""),
        ("terms/history", 404, ""),
    ],
)
def test_policies(client: TestClient, path: str, status: int, text: str) -> None:
    """A policy is served in its versions and languages; one of the future is nowhere yet."""
    response = client.get(f"/privacy/policies/{path}")
    assert response.status_code == status
    assert text in response.text
    assert "We keep nothing." not in response.text


@pytest.mark.parametrize(("language", "target"), [("uk", "1/uk"), ("en", "1/en"), ("fr", "1/en")])
def test_a_version_leads_to_a_language(client: TestClient, language: str, target: str) -> None:
    """A version's address leads to the visitor's language, and this way is not stored."""
    response = client.get("/privacy/policies/privacy/1", headers={"accept-language": language})
    assert (response.status_code, response.headers["location"]) == (302, f"/privacy/policies/privacy/{target}")
    assert response.headers["cache-control"] == "no-store"


def test_the_exact_bytes(client: TestClient, settings: ConsentSettings) -> None:
    """The source is served as it lies on disk, under the digest of its bytes, and confirmed by it."""
    data = (settings.folder / "policies/privacy/1.uk.md").read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    response = client.get("/privacy/policies/privacy/1/uk.md")
    assert (response.content, response.headers["etag"]) == (data, tag)
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    for asked, status in ((tag, 304), (f"W/{tag}", 304), ("*", 304), (f'"x", {tag}', 304), ('"x"', 200), ("", 200)):
        response = client.get("/privacy/policies/privacy/1/uk.md", headers={"if-none-match": asked})
        assert response.status_code == status


def test_history_and_comparison(client: TestClient) -> None:
    """The history links each version to its text and to what it changed; the comparison shows both texts."""
    history = client.get("/privacy/policies/privacy/history").text
    assert re.findall(r'href="(/privacy/policies/privacy/[^"]*\.\.\.[^"]*)"', history) == [
        "/privacy/policies/privacy/1...2?lang=en"
    ]
    comparison = client.get("/privacy/policies/privacy/1...2").text
    assert "even less" in comparison
    assert "<del" in comparison or "cst-removed" in comparison or "little" in comparison


def test_a_version_that_was_deleted(settings: ConsentSettings, site: Site, make_client: MakeClient) -> None:
    """A published version whose file is gone is still served, from the archive."""
    site.close()
    (settings.folder / "policies/privacy/1.en.md").unlink()
    again = Site(settings, clock=testing.Clock())
    again.start()
    response = make_client(again).get("/privacy/policies/privacy/1/en")
    again.close()
    assert response.status_code == 200
    assert "We keep little." in response.text


PUBLIC = ["policies/privacy/1/en", "policies/privacy/1/uk", "policies/privacy/2/en"]


@pytest.mark.parametrize("path", [*PUBLIC, "policies/privacy/1...2"])
def test_public_pages_show_nobodys_choice(client: TestClient, path: str) -> None:
    """A page that shared caches may keep is the same for all; one in their language their browser keeps."""
    first = client.get(f"/privacy/{path}")
    public = path in PUBLIC
    assert first.headers["cache-control"] == f"{'public' if public else 'private'}, max-age=60"
    assert first.headers.get("vary") == (None if public else "Accept-Language, Cookie")
    assert not public or client.get(f"/privacy/{path}", headers={"accept-language": "uk"}).text == first.text
    for change in (testing.refuse, lambda one: testing.grant(one, "analytics"), testing.withdraw):
        change(client)
        response = client.get(f"/privacy/{path}", headers={"sec-gpc": "1"})
        assert response.text == first.text
        assert response.headers.get_list("set-cookie") == []


def test_notices_are_archived(client: TestClient, site: Site) -> None:
    """A notice is served by its digest, as a page and as its exact bytes; one that was never shown is not there."""
    notice = site.edition(site.now()).notices["uk"]
    page = client.get(f"/privacy/notices/{notice.digest}")
    assert notice.digest in page.text
    response = client.get(f"/privacy/notices/{notice.digest}.json")
    assert hashlib.sha256(response.content).hexdigest() == notice.digest
    assert client.get(f"/privacy/notices/{notice.digest[:-1]}0.json").status_code in (200, 404)
    assert client.get(f"/privacy/notices/{notice.digest[:16]}{'0' * 48}").status_code == 404


def test_every_page_defends_itself(client: TestClient) -> None:
    """Each page of ours names no third party, runs no inline script, and lets nobody frame it."""
    for path in ("", "choices", "receipt", "policies/privacy", "policies/privacy/history", "audit/", "nothing"):
        response = client.get(f"/privacy/{path}")
        policy = response.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == ("no-referrer" if path == "receipt" else "same-origin")
        assert re.findall(r'<script(?![^>]* src="/privacy/assets/)', response.text) == []
        assert " style=" not in response.text
        assert " onclick=" not in response.text


# -- the second layer


def test_nothing_is_ticked_beforehand(client: TestClient) -> None:
    """The second layer ticks nothing that the visitor has not granted, and what they have."""
    assert "checked" not in client.get("/privacy/choices").text
    testing.grant(client, "media")
    ticked = re.findall(r"<input[^>]*checked[^>]*>", client.get("/privacy/choices").text)
    assert ticked
    assert all("analytics" not in one and "marketing" not in one for one in ticked)


def test_the_banner_offers_both_answers_alike(client: TestClient) -> None:
    """On the first layer yes and no are the same element with the same class, one click each."""
    page = client.get("/").text
    buttons = re.findall(r'<button class="([^"]*)" name="choice" value="(accept_all|reject_all)">', page)
    assert [value for _, value in buttons] == ["accept_all", "reject_all"]
    assert len({style for style, _ in buttons}) == 1
    for title in ("Statistics", "Advertising", "Embedded content"):
        assert title in page


def test_what_changed_is_said(make_client: MakeClient, settings: ConsentSettings, site: Site) -> None:
    """Decision 11: who is asked again is told what changed, and keeps the rest with either answer."""
    client = make_client(site)
    testing.grant(client, "analytics", "media")
    site.close()
    changed = SERVICES | {"reader-stats": SERVICES["reader-stats"] | {"country": "US"}}
    folder = settings.folder
    later = Site(
        ConsentSettings.from_toml(
            folder / "consent.toml",
            **{name: getattr(settings, name) for name in ("secret_keys", "site_name", "origins", "languages")},
            services=changed,
        ),
        clock=testing.Clock(testing.EPOCH + 60),
    )
    again = make_client(later)
    again.cookies.update(dict(client.cookies))
    page = again.get("/").text
    assert "Reader statistics" in page
    banner = page.partition('id="cst"')[2].partition("</section>")[0]
    assert "Lantern Video" not in banner
    state = again.get("/privacy/state").json()
    assert state["asking"] == ["reader-stats"]
    assert "lantern-video" in state["allowed"]
    forms = re.findall(r"<form[^>]* method.*?</form>", banner, re.DOTALL)
    assert len(forms) == 2
    for form, allowed in zip(forms, (True, False), strict=True):
        visitor = make_client(later)
        for cookie in client.cookies.jar:
            visitor.cookies.jar.set_cookie(cookie)
        fields: dict[str, list[str]] = {"choice": ["save"]}
        for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', form):
            if name != "choice":
                fields.setdefault(name, []).append(value)
        assert visitor.post("/privacy/choices", data=fields).status_code == 303
        after = visitor.get("/privacy/state").json()
        assert after["answered"]
        assert ("reader-stats" in after["allowed"]) is allowed
        assert "lantern-video" in after["allowed"]
        assert "lantern-ads" not in after["allowed"]
    later.close()


# -- what changed, in the visitor's language, and elsewhere

ATOM = "{http://www.w3.org/2005/Atom}"


def links(response: Any) -> list[str]:
    """Return the values of `Link` headers."""
    return list(response.headers.get_list("link"))


def test_who_agreed_earlier_is_led_to_what_changed(settings: ConsentSettings) -> None:
    """The version in force tells whoever agreed under another one which that was, and nobody else anything."""
    clock = testing.Clock()
    site = Site(settings, clock=clock)
    site.start()

    def visitor() -> TestClient:
        return TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")

    agreed, refused = visitor(), visitor()
    testing.grant(agreed, "analytics")
    testing.refuse(refused)
    page = agreed.get("/privacy/policies/privacy")
    assert "What changed since you last agreed" not in page.text
    clock.now = datetime(2027, 6, 2, tzinfo=UTC).timestamp()
    page = agreed.get("/privacy/policies/privacy")
    assert "You agreed on January 15, 2027, when this policy was at version 2." in page.text
    assert 'href="/privacy/policies/privacy/2...3?lang=en"' in page.text
    assert page.headers["cache-control"] == "private, no-cache"
    assert "What changed since you last agreed" not in agreed.get("/privacy/policies/cookies").text
    assert "What changed since you last agreed" not in agreed.get("/privacy/policies/privacy/3/en").text
    for client in (refused, visitor()):
        assert "What changed since you last agreed" not in client.get("/privacy/policies/privacy").text
    agreed.post("/privacy/language", data={"language": "uk", "next": "/"})
    assert "15 січня 2027" in agreed.get("/privacy/policies/privacy").text
    site.close()


def test_a_policy_names_its_languages_and_its_lasting_address(client: TestClient) -> None:
    """Head and headers give the canonical address, every language and the feed, all in full."""
    base = f"{ORIGIN}/privacy/policies/privacy"
    response = client.get("/privacy/policies/privacy/1/en")
    assert links(response) == [
        f'<{base}/1/en>; rel="canonical"',
        f'<{base}/1/en>; rel="alternate"; hreflang="en"',
        f'<{base}/1/uk>; rel="alternate"; hreflang="uk"',
        f'<{base}/1>; rel="alternate"; hreflang="x-default"',
        f'<{base}.atom>; rel="alternate"; type="application/atom+xml"',
    ]
    assert f'<link rel="canonical" href="{base}/1/en">' in response.text
    assert f'<link rel="alternate" hreflang="uk" href="{base}/1/uk">' in response.text
    assert client.get("/privacy/policies/privacy").text.count(f'href="{base}/2/en"') == 2


def test_the_feed_lists_every_version(client: TestClient, site: Site) -> None:
    """The feed has the versions that are or were in force, the newest first, and carries the published checkpoint."""
    sealed = site.ledger.seal()
    assert site.ledger.store.publish_checkpoint(sealed, at=int(site.now()), after=0)
    response = client.get("/privacy/policies.atom", headers={"accept-language": "uk"})
    assert response.headers["content-type"] == "application/atom+xml"
    root = ElementTree.fromstring(response.content)
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "uk"
    assert [one.findtext(f"{ATOM}id") for one in root.iter(f"{ATOM}entry")] == [
        f"{ORIGIN}/privacy/policies/{slug}" for slug in ("privacy/2", "privacy/1", "cookies/1")
    ]
    assert root.findtext(f"{ATOM}updated") == "2026-10-01T00:00:00Z"
    assert root.findtext("{urn:asgi-consent:feed}checkpoint") == sealed.note.decode()
    first = root.findall(f"{ATOM}entry")[1]
    assert first.findtext(f"{ATOM}title") == "Приватність, версія 1"
    texts = [(one.get("hreflang"), one.get("href")) for one in first.findall(f"{ATOM}link")]
    assert texts == [(tag, f"{ORIGIN}/privacy/policies/privacy/1/{tag}") for tag in ("en", "uk")]
    for entry in root.iter(f"{ATOM}entry"):
        address = str(entry.findtext(f"{ATOM}id")).removeprefix(ORIGIN)
        assert client.get(address, follow_redirects=True).status_code == 200


def test_the_feed_of_one_policy(client: TestClient) -> None:
    """Each policy has a feed of its own, named by its pages; one that was never published has none."""
    root = ElementTree.fromstring(client.get("/privacy/policies/cookies.atom").content)
    assert root.findtext(f"{ATOM}title") == "Cookies \N{EN DASH} The Meridian"
    assert len(root.findall(f"{ATOM}entry")) == 1
    assert client.get("/privacy/policies/nothing.atom").status_code == 404
    for path in ("policies/cookies", "policies/cookies/history"):
        assert (
            'type="application/atom+xml" href="/privacy/policies/cookies.atom"' in client.get(f"/privacy/{path}").text
        )
    assert 'type="application/atom+xml" href="/privacy/policies.atom"' in client.get("/privacy/").text


def test_a_site_without_policies_has_an_empty_feed(make_client: MakeClient) -> None:
    """A feed without entries is a feed."""
    root = ElementTree.fromstring(make_client().get("/privacy/policies.atom").content)
    assert root.findall(f"{ATOM}entry") == []


@pytest.mark.parametrize(
    "path", ["policies.atom", "policies/privacy/2/en.md", "schemas/receipt-1.json", "notices/{notice}.json"]
)
def test_what_has_not_changed_is_not_sent_again(client: TestClient, path: str) -> None:
    """Exact bytes have their SHA-256 as entity tag, and who has them gets 304."""
    path = f"/privacy/{path}".format(notice=client.get("/privacy/state").json()["notice"])
    response = client.get(path)
    tag = response.headers["etag"]
    assert tag == f'"{hashlib.sha256(response.content).hexdigest()}"'
    again = client.get(path, headers={"if-none-match": f'W/"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


def test_a_site_renders_everything_in_its_own_layout(settings: ConsentSettings) -> None:
    """One template of the site's own carries all our pages: policies, history, comparison, choices, receipt, errors."""
    own = settings.folder / "own"
    own.mkdir()
    (own / "consent_page.html").write_text(
        '<!doctype html><html lang="{{ language }}" dir="{{ dir }}"><head><title>'
        "{% block title %}{% endblock %}</title>{% block head %}{% endblock %}</head><body>"
        "<nav>The Meridian, since 1904</nav>"
        "{% block main %}{% endblock %}</body></html>"
    )
    site = Site(settings.model_copy(update={"templates_dir": own}), clock=testing.Clock())
    site.start()
    client = TestClient(ConsentMiddleware(page_app, site=site), base_url="https://testserver")
    for path in (
        *(
            "",
            "policies/privacy",
            "policies/privacy/history",
            "policies/privacy/1...2",
            "choices",
            "receipt",
            "nothing",
        ),
        *("receipt/code", "notices/" + client.get("/privacy/state").json()["notice"]),
    ):
        page = client.get(f"/privacy/{path}").text
        assert "<nav>The Meridian, since 1904</nav>" in page, path
        assert re.search(r"<h1[ >]", page), path
        assert 'class="cst-head"' not in page, path
    page = client.get("/privacy/policies/privacy").text
    assert "We keep even less." in page
    assert '<link rel="canonical"' in page
    site.close()


# -- proof


def test_the_checkpoint(client: TestClient, site: Site) -> None:
    """The checkpoint that was published last is served as the signed note it is, not what was signed since."""
    assert client.get("/privacy/checkpoint").status_code == 404
    sealed = site.ledger.seal()
    assert site.ledger.store.publish_checkpoint(sealed, at=int(site.now()), after=0)
    testing.refuse(client)
    assert site.ledger.seal().size > sealed.size
    response = client.get("/privacy/checkpoint")
    assert response.content == sealed.note
    assert sealed.note.decode().split()[-1] in client.get("/privacy/").text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


# -- the auditor


def sign_in(client: TestClient, token: str = TOKEN, **headers: str) -> Any:
    """Send a token as the auditor's form does."""
    return client.post("/privacy/audit/login", data={"token": token}, headers=headers)


def test_without_a_token_there_is_nothing(make_client: MakeClient) -> None:
    """Where no token is configured the auditor's pages are not there."""
    client = make_client()
    for path in ("", "entries", "entries/0", "find", f"renderings/{'ab' * 32}", "entries.jsonl", "entries.csv"):
        assert client.get(f"/privacy/audit/{path}").status_code == 404
    assert sign_in(client, "").status_code == 404


def test_the_auditor(client: TestClient, site: Site) -> None:
    """With the token the auditor sees the entries and takes all of them along, and the ledger says so."""
    testing.grant(client, "analytics")
    assert client.get("/privacy/audit/entries.jsonl").status_code == 404
    assert "entries.jsonl" not in client.get("/privacy/audit/").text
    response = sign_in(client, f" {TOKEN}\n")
    assert response.status_code == 303
    (value,) = response.headers.get_list("set-cookie")
    assert all(part in value for part in ("HttpOnly", "Secure", "SameSite=Strict"))
    assert "entries.jsonl" in client.get("/privacy/audit/").text
    lines = client.get("/privacy/audit/entries.jsonl").content.splitlines()
    assert lines == list(site.ledger.store.entries())[: len(lines)]
    assert json.loads(list(site.ledger.store.entries())[len(lines)])["kind"] == "exported"
    table = client.get("/privacy/audit/entries.csv").text
    assert table.count("\n") == len(lines) + 2


@pytest.mark.parametrize("before", ["", "0", "-1", "x", "9" * 20, "²", "٣", "1.5"])
def test_paging(client: TestClient, before: str) -> None:
    """A page number that is none is no reason to fail."""
    sign_in(client)
    assert client.get("/privacy/audit/entries", params={"before": before}).status_code == 200


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("wrong", {}, 403),
        ("", {}, 403),
        (TOKEN.upper(), {}, 403),
        (TOKEN, {"sec-fetch-site": "cross-site"}, 403),
        (TOKEN, {"origin": "null"}, 403),
    ],
)
def test_a_wrong_token(client: TestClient, token: str, headers: dict[str, str], status: int) -> None:
    """A wrong token, or a right one from elsewhere, opens nothing."""
    response = sign_in(client, token, **headers)
    assert response.status_code == status
    assert response.headers.get_list("set-cookie") == []


def test_guessing(client: TestClient, site: Site) -> None:
    """After twenty wrong tokens in a minute none is looked at for a while, not even the right one."""
    for _ in range(20):
        assert sign_in(client, "wrong").status_code == 403
    assert sign_in(client).status_code == 429
    assert isinstance(site.now, testing.Clock)
    site.now.advance(61)
    assert sign_in(client).status_code == 303


def test_a_session_ends(client: TestClient, site: Site, settings: ConsentSettings) -> None:
    """An auditor's session ends after an hour, is bound to its token, and cannot be forged."""
    value = sign_in(client).cookies["__Host-consent-audit"]
    assert isinstance(site.now, testing.Clock)
    paths: list[tuple[Callable[[], str], int]] = [
        (lambda: value, 200),
        (lambda: value[:-1] + ("A" if value[-1] != "A" else "B") * 2, 404),
        (lambda: "1.2.3", 404),
        (lambda: "\xff", 404),
    ]
    for made, status in paths:
        header = f"__Host-consent-audit={made()}".encode("latin-1")
        response = client.get("/privacy/audit/entries.csv", headers={b"cookie": header})
        assert response.status_code == status
    site.now.advance(3601)
    header = f"__Host-consent-audit={value}".encode()
    assert client.get("/privacy/audit/entries.csv", headers={b"cookie": header}).status_code == 404


def test_a_page_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Should something fail after all, the answer is a short page without a traceback, and one line of log."""

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site, "archived_notice", fail)
    client = TestClient(
        ConsentMiddleware(page_app, site=site), base_url="https://testserver", raise_server_exceptions=False
    )
    response = client.get(f"/privacy/notices/{'ab' * 32}")
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text
    assert [record.levelname for record in caplog.records if record.name == "consent"] == ["ERROR"]
