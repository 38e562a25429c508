"""Test the policies that are shipped: the starter ones, and those of the demo's newspaper."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from consent import languages, shipped
from consent.policies.compare import compare
from consent.policies.document import PolicyVersion, fields, unfilled
from consent.policies.facts import Facts
from consent.policies.library import Library, read
from consent.policies.publish import refuse_unfilled
from consent.policies.render import render

MakeFacts = Callable[..., Facts]

DEMO = Path(shipped.__file__).parent / "demo" / "site" / "policies"
STARTER = read(shipped.STARTER_POLICIES)
NEWSPAPER = read(DEMO)
EVERY = [
    pytest.param(one, id=f"{origin} {one.place}")
    for origin, library in (("starter", STARTER), ("demo", NEWSPAPER))
    for one in library.documents
]
ARTICLES = ("6(1)", "7(1)", "7(3)", "15", "16", "17", "18", "20", "21", "22")


@pytest.mark.parametrize(
    ("library", "versions"),
    [(STARTER, ("1",)), (NEWSPAPER, ("2026-03-01", "2026-10-01"))],
    ids=["starter", "demo"],
)
def test_both_policies_are_there_in_both_languages(library: Library, versions: tuple[str, ...]) -> None:
    """Every version exists in English and Ukrainian."""
    assert library.slugs == ("cookies", "privacy")
    for slug in library.slugs:
        assert library.versions(slug) == versions
        assert {library.languages(slug, version) for version in versions} == {("en", "uk")}


@pytest.mark.parametrize("document", EVERY)
def test_links_lead_somewhere(document: PolicyVersion, make_facts: MakeFacts) -> None:
    """Links to a place in the text find a heading, and links to our pages are to pages there are."""
    rendered = render(document, facts=make_facts(dpo="dpo@meridian.example"), words=str)
    ids = {heading.id for heading in rendered.contents}
    pages = {"/privacy/choices", "/privacy/receipt"} | {
        f"/privacy/policies/{slug}{page}" for slug in STARTER.slugs for page in ("", "/history")
    }
    links = re.findall(r'href="([^"]*)"', rendered.html)
    assert "/privacy/choices" in links
    for link in links:
        if link.startswith("#"):
            assert unquote(link[1:]) in ids
        elif link.startswith("/"):
            assert link in pages


@pytest.mark.parametrize("document", EVERY)
def test_languages_say_the_same_in_the_same_places(document: PolicyVersion, make_facts: MakeFacts) -> None:
    """A translation has the headings, fields, table rows and list items of its original, and no untranslated line."""
    library = STARTER if document in STARTER.documents else NEWSPAPER
    english = library.find(document.slug, document.version, "en")
    assert english is not None

    def shape(one: PolicyVersion) -> list[str]:
        return [re.match(r"#+|- |\||$|\{\{[^}]*\}\}$|", line)[0] for line in one.body.split("\n")]  # type: ignore[index]

    assert shape(document) == shape(english)
    assert [one.name for one in fields(document)] == [one.name for one in fields(english)]
    assert len(unfilled(document)) == len(unfilled(english))
    if document.language == "uk":
        lines = [line for line in document.body.split("\n") if re.search(r"[A-Za-z]{4}", line)]
        assert [
            line for line in lines if not re.search(r"[\u0400-\u04ff]", line) and not re.match(r"\||\{\{", line)
        ] == []
        assert re.search(r"[ыэъё]", document.body.lower()) is None


@pytest.mark.parametrize("document", [one for one in EVERY if "privacy" in str(one.id)])
def test_privacy_policies_tell_what_article_13_asks_for(document: PolicyVersion) -> None:
    """Controller, officer, legal bases, rights and authority are named, and recipients come from the catalogue."""
    names = {one.name for one in fields(document)}
    assert {"controller.name", "controller.address", "controller.contact", "controller.dpo", "recipients"} <= names
    assert "controller.authority" in names
    for article in ARTICLES:
        assert re.search(rf"(Art\.|with|ст\.|зі ст\.) {re.escape(article)}", document.body), article
    assert "Global Privacy Control" in document.body
    assert "`__Host-consent`" in document.body


@pytest.mark.parametrize("document", [one for one in EVERY if "cookies" in str(one.id)])
def test_cookie_policies_list_every_service(document: PolicyVersion) -> None:
    """Services and cookies come from the catalogue, and our own cookie is described."""
    assert {"services", "cookies"} <= {one.name for one in fields(document)}
    assert "| `__Host-consent` |" in document.body


def test_starter_policies_have_a_few_fields_to_fill_in() -> None:
    """Only what no setting knows is left open, so that nobody publishes a text about somebody else."""
    assert {document.place: len(unfilled(document)) for document in STARTER.documents} == {
        "cookies/1.en.md": 0,
        "cookies/1.uk.md": 0,
        "privacy/1.en.md": 5,
        "privacy/1.uk.md": 5,
    }


def test_the_newspaper_s_policies_can_be_published(make_facts: MakeFacts) -> None:
    """The demo has nothing left to fill in."""
    refuse_unfilled(NEWSPAPER.documents, facts=make_facts())
    material = {(one.slug, one.version): one.material for one in NEWSPAPER.documents}
    assert material[("cookies", "2026-10-01")] is True
    assert material[("privacy", "2026-10-01")] is False


@pytest.mark.parametrize("language", ["en", "uk"])
@pytest.mark.parametrize("slug", ["cookies", "privacy"])
def test_the_newspaper_s_versions_compare_readably(slug: str, language: str) -> None:
    """A few blocks differ, of each kind, and most stay."""
    older, newer = (NEWSPAPER.find(slug, version, language) for version in NEWSPAPER.versions(slug))
    assert older is not None
    assert newer is not None
    changes = [block.change for block in compare(older, newer, words=languages.wording("en")).blocks]
    assert {"kept", "added", "changed"} <= set(changes)
    assert changes.count("kept") > len(changes) * 0.6
