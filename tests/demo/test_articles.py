"""Check what the newspaper prints."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import Counter
from string import Formatter

import pytest

from consent.demo.articles import LANGUAGES, SECTIONS, SITE, read_paper
from consent.demo.words import preferred, read_words

PAPER = read_paper()
SLUGS = sorted({slug for slug, _ in PAPER.articles})
EVERY_ARTICLE = pytest.mark.parametrize(("slug", "language"), sorted(PAPER.articles))


def test_there_are_at_least_six_articles_in_both_languages() -> None:
    """No article is missing in one of the languages."""
    assert len(SLUGS) >= 6
    assert set(PAPER.articles) == {(slug, language) for slug in SLUGS for language in LANGUAGES}


@EVERY_ARTICLE
def test_an_article_is_complete(slug: str, language: str) -> None:
    """An article has 400 to 700 words, two different headlines, and one place for each embed."""
    article = PAPER.articles[slug, language]
    assert 400 <= article.words <= 700
    assert article.title != article.second_title
    assert Counter(part.kind for part in article.parts if part.kind != "text") == {"video": 1, "post": 1, "advert": 1}
    assert article.section in SECTIONS
    assert slug not in article.related
    assert len(PAPER.related(article)) == 3


@EVERY_ARTICLE
def test_an_article_is_in_its_own_language(slug: str, language: str) -> None:
    """Cyrillic letters stand in the Ukrainian version only, and each uses its own quotation marks."""
    text = "".join(part.html for part in PAPER.articles[slug, language].parts)
    cyrillic = sum("CYRILLIC" in unicodedata.name(letter, "") for letter in text)
    assert (cyrillic > 1000) == (language == "uk")
    assert ("«" in text, "“" in text) == ((True, False) if language == "uk" else (False, True))
    assert "'" not in text


def test_the_newest_article_comes_first() -> None:
    """Every list of articles is sorted by date."""
    for language in LANGUAGES:
        days = [article.published for article in PAPER.all(language)]
        assert days == sorted(days, reverse=True)


def test_every_section_has_an_article() -> None:
    """No link in the navigation leads to an empty page."""
    assert all(PAPER.section(name, language) for name in SECTIONS for language in LANGUAGES)


def test_markup_in_an_article_would_be_shown_as_text() -> None:
    """No article can bring in a tag of its own."""
    assert not any("<script" in part.html or "style=" in part.html for a in PAPER.articles.values() for part in a.parts)


def test_both_languages_say_the_same_things() -> None:
    """Every text exists in both languages, with the same fields, and none is left untranslated."""
    english, ukrainian = (
        tomllib.loads((SITE / "words" / f"{language}.toml").read_text(encoding="utf-8")) for language in LANGUAGES
    )
    assert list(english) == list(ukrainian)
    for key, text in english.items():
        assert _fields(text) == _fields(ukrainian[key]), key
        assert text != ukrainian[key] or key == "article.by", key


def test_dates_are_written_in_the_language_of_the_page() -> None:
    """A date is spelled out."""
    words = read_words()
    day = PAPER.articles["night-ferry", "en"].published
    assert words["en"].day(day) == "20 November 2026"
    assert words["uk"].day(day).startswith("20 листопада 2026")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("uk", "uk"),
        ("uk-UA,uk;q=0.9,en;q=0.8", "uk"),
        ("en-IE, uk;q=0.9", "en"),
        ("de, fr;q=0.9, uk;q=0.1", "uk"),
        ("de", "en"),
        ("uk;q=0, en;q=0.1", "en"),
        ("en;q=nonsense, UK;q=0.2", "uk"),
        (";;;,,q=", "en"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    """The best-liked language the paper has wins; what is malformed is passed over."""
    assert preferred(header) == language


def _fields(text: str) -> set[str | None]:
    return {field for _, field, _, _ in Formatter().parse(text) if field}
