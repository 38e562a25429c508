"""Read the news site with nothing in front of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from consent.demo.articles import LANGUAGES, read_paper
from consent.demo.trackers.log import HOSTS
from tests.demo.client import SITE, TRACKER_PORT, client, site

PAPER = read_paper()
EVERY_ARTICLE = pytest.mark.parametrize(("slug", "language"), sorted(PAPER.articles))
QUIET_PAGES = ("corrections", "corrections/thanks", "what-the-trackers-saw")
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href")}
EMPTY = {"img", "link", "meta", "input", "path", "circle", "br"}


class Page(HTMLParser):
    """Collect what a page loads and links to, and whether its tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[tuple[str, str]] = []
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.nonces: set[str] = set()
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of one tag."""
        for name, value in attrs:
            if (tag, name) in LOADED and dict(attrs).get("rel") != "alternate":
                self.loads.append((tag, value or ""))
            if (tag, name) == ("a", "href"):
                self.links.add(value or "")
            if name == "id":
                self.ids.add(value or "")
            if name == "nonce":
                self.nonces.add(value or "")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take note of the end of an element."""
        if tag in EMPTY:
            return
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    @property
    def foreign_hosts(self) -> set[str]:
        """Return the hosts other than the site's own that this page loads from."""
        return {urlsplit(address).hostname or "" for _, address in self.loads} - {""}


@EVERY_ARTICLE
def test_an_article_embeds_every_third_party(tmp_path: Path, slug: str, language: str) -> None:
    """Measurement, advertising, video, post, donations, comments and font are on every article."""
    response = client(site(tmp_path)).get(f"/{language}/articles/{slug}")
    page = Page(response.text)
    assert response.status_code == 200
    assert response.headers["content-language"] == language
    assert PAPER.articles[slug, language].title in response.text
    assert page.foreign_hosts == set(HOSTS)
    kinds = {(tag, urlsplit(address).hostname) for tag, address in page.loads}
    assert kinds >= {
        ("script", "stats.localhost"),
        ("img", "ads.localhost"),
        ("script", "ads.localhost"),
        ("iframe", "video.localhost"),
        ("script", "social.localhost"),
        ("iframe", "donate.localhost"),
        ("script", "comments.localhost"),
        ("link", "fonts.localhost"),
    }
    assert "readerStats(" in response.text
    assert "/privacy/" in page.links
    assert f"/{language}/about#reprints" in page.links


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    """Following every link, picture, style and script of the site from its root meets no error and no lost anchor."""
    browser = client(site(tmp_path))
    waiting, seen, pages = {"/"}, {"/"}, dict[str, Page]()
    anchors = set[tuple[str, str]]()
    while waiting:
        path = waiting.pop()
        response = browser.get(path, follow_redirects=True)
        assert response.status_code == 200, path
        if not response.headers["content-type"].startswith("text/html"):
            continue
        page = pages[path] = Page(response.text)
        assert page.open == [], path
        assert page.crossed == [], path
        for address, anchor in _own(path, page):
            anchors.add((address, anchor))
            if address not in seen:
                seen.add(address)
                waiting.add(address)
    assert {f"/{language}/articles/{slug}" for slug, language in PAPER.articles} <= set(pages)
    assert {(path, anchor) for path, anchor in anchors if anchor and anchor not in pages[path].ids} == set()


@pytest.mark.parametrize(("asked", "language"), [("uk-UA,uk;q=0.9", "uk"), ("en-GB", "en"), ("de", "en")])
def test_the_root_leads_to_the_readers_language(tmp_path: Path, asked: str, language: str) -> None:
    """The root redirects by Accept-Language, and says so to caches."""
    response = client(site(tmp_path)).get("/", headers={"Accept-Language": asked})
    assert response.status_code == 302
    assert response.headers["location"] == f"/{language}/"
    assert response.headers["vary"] == "Accept-Language"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("/en/articles/none", "en"),
        ("/uk/none", "uk"),
        ("/uk/sections/none", "uk"),
        ("/de/", "uk"),
        ("/de/what-the-trackers-saw.json", "uk"),
        ("/none", "uk"),
    ],
)
def test_a_missing_page_says_so_in_the_readers_language(tmp_path: Path, path: str, language: str) -> None:
    """What does not exist is 404, in the language of the address or else of the browser."""
    response = client(site(tmp_path)).get(path, headers={"Accept-Language": "uk"}, follow_redirects=True)
    assert response.status_code == 404
    assert response.headers["content-language"] == language
    assert Page(response.text).foreign_hosts == set()


@pytest.mark.parametrize("path", QUIET_PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_some_pages_load_nothing_from_others(tmp_path: Path, path: str, language: str) -> None:
    """Corrections and the trackers' log are free of third parties."""
    assert Page(client(site(tmp_path)).get(f"/{language}/{path}").text).foreign_hosts == set()


def test_the_policy_names_the_third_parties_and_a_fresh_nonce(tmp_path: Path) -> None:
    """Each page's policy allows its own inline script by a nonce used once, and every host the page loads from."""
    browser = client(site(tmp_path))
    responses = [browser.get("/en/articles/foghorn") for _ in range(2)]
    policies = [response.headers["content-security-policy"] for response in responses]
    nonces = [re.findall(r"'nonce-([^']+)'", policy) for policy in policies]
    assert [Page(response.text).nonces for response in responses] == [set(found) for found in nonces]
    assert nonces[0] != nonces[1]
    assert "unsafe-inline" not in policies[0]
    assert set(re.findall(rf"http://(\S+?):{TRACKER_PORT}", policies[0])) == set(HOSTS)


def test_the_headline_test_sets_an_http_only_cookie_once(tmp_path: Path) -> None:
    """The first page sets it, out of reach of scripts, and the second leaves it."""
    browser = client(site(tmp_path, headline="b"))
    first = browser.get("/en/")
    assert first.headers["set-cookie"] == "_mab=b; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"
    assert PAPER.all("en")[0].title in first.text
    second = browser.get("/en/")
    assert "set-cookie" not in second.headers
    assert PAPER.all("en")[0].second_title in second.text


@pytest.mark.parametrize("allowed", [True, False])
def test_comments_say_what_they_wait_for(tmp_path: Path, allowed: bool) -> None:
    """Where comments are not agreed to, the page says so and links to the choice."""

    class Answer:
        def allows(self, key: str) -> bool:
            return allowed and key == "comments"

    page = Page(client(_with_consent(site(tmp_path), Answer())).get("/en/articles/foghorn").text)
    link = "/privacy/choices?service=comments&next=/en/articles/foghorn#cst-service-comments"
    assert (link in page.links) is not allowed


def test_a_request_for_the_head_is_answered(tmp_path: Path) -> None:
    """HEAD has the headers of GET and no body."""
    response = client(site(tmp_path)).head("/uk/")
    assert response.status_code == 200
    assert response.content == b""


def _own(path: str, page: Page) -> Iterator[tuple[str, str]]:
    """Return the addresses on the site itself, but for those that consent serves."""
    for link in page.links | {address for _, address in page.loads}:
        address, anchor = urldefrag(urljoin(SITE + path, link))
        if address.startswith(f"{SITE}/") and not address.startswith(f"{SITE}/privacy/"):
            yield address.removeprefix(SITE), anchor


def _with_consent(app: ASGIApp, consent: object) -> ASGIApp:
    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"consent": consent}
        await app(scope, receive, send)

    return answered
