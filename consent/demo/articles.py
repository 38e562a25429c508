"""Read the news site's articles: Markdown files in two languages, with what they share in one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

SITE = Path(__file__).parent / "site"
LANGUAGES = ("en", "uk")
QUOTES = {"en": "\u201c\u201d\u2018\u2019", "uk": "\u00ab\u00bb\u201e\u201c"}
SECTIONS = ("city", "science", "culture", "economy")
EMBEDS = ("video", "post", "advert")
_FENCE = "+++\n"
_WORDS_A_MINUTE = 180


@dataclass(frozen=True, kw_only=True)
class Part:
    """Hold one stretch of an article: text as HTML, or the name of what is embedded there."""

    kind: str
    html: str = ""


@dataclass(frozen=True, kw_only=True)
class Article:
    """Hold one article in one language."""

    slug: str
    language: str
    section: str
    published: date
    title: str
    second_title: str
    standfirst: str
    author: str
    picture_text: str
    caption: str
    video_title: str
    related: tuple[str, ...]
    parts: tuple[Part, ...]
    words: int

    @property
    def minutes(self) -> int:
        """Return how long reading takes, in whole minutes."""
        return max(1, round(self.words / _WORDS_A_MINUTE))


@dataclass(frozen=True)
class Paper:
    """Hold all articles, newest first, in both languages."""

    articles: Mapping[tuple[str, str], Article]

    def article(self, slug: str, language: str) -> Article | None:
        """Return one article, None where there is no such slug."""
        return self.articles.get((slug, language))

    def all(self, language: str) -> tuple[Article, ...]:
        """Return every article in one language, newest first."""
        return tuple(article for article in self.articles.values() if article.language == language)

    def section(self, name: str, language: str) -> tuple[Article, ...]:
        """Return the articles of one section, newest first."""
        return tuple(article for article in self.all(language) if article.section == name)

    def related(self, article: Article) -> tuple[Article, ...]:
        """Return the articles that one article points to, in its language."""
        return tuple(self.articles[slug, article.language] for slug in article.related)


def read_paper(folder: Path = SITE / "articles") -> Paper:
    """Read every article of a folder."""
    shared = tomllib.loads((folder / "articles.toml").read_text(encoding="utf-8"))
    newest_first = sorted(shared, key=lambda slug: shared[slug]["published"], reverse=True)
    articles: dict[tuple[str, str], Article] = {}
    for slug in newest_first:
        for language in LANGUAGES:
            head, body = _split((folder / f"{slug}.{language}.md").read_text(encoding="utf-8"))
            articles[slug, language] = Article(
                slug=slug,
                language=language,
                section=shared[slug]["section"],
                published=shared[slug]["published"],
                related=tuple(shared[slug]["related"]),
                parts=_parts(body, quotes=QUOTES[language]),
                words=len(body.split()),
                **head,
            )
    return Paper(articles)


def _split(text: str) -> tuple[dict[str, str], str]:
    _, head, body = text.split(_FENCE, 2)
    return tomllib.loads(head), body


def _parts(body: str, *, quotes: str) -> tuple[Part, ...]:
    """Cut the text at the lines that say `@video`, `@post` or `@advert`."""
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": True, "quotes": quotes})
    markdown.enable("smartquotes")
    parts: list[Part] = []
    held: list[str] = []

    def flush() -> None:
        if any(line.strip() for line in held):
            # The text is our own and Markdown is rendered with HTML off, so what comes out is safe.
            parts.append(Part(kind="text", html=Markup(markdown.render("\n".join(held)))))  # noqa: S704
        held.clear()

    for line in body.splitlines():
        if line.startswith("@") and line[1:] in EMBEDS:
            flush()
            parts.append(Part(kind=line[1:]))
        else:
            held.append(line)
    flush()
    return tuple(parts)
