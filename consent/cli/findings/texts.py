"""Look at the words: languages, texts of the site's own, and templates."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from string import Formatter

from jinja2 import Environment, TemplateSyntaxError

from consent import languages
from consent.choice.wording import ENGLISH
from consent.cli.findings.finding import Finding, error, warning
from consent.settings import ConsentSettings
from consent.shipped import TEMPLATES


def find(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what is wrong with languages, wording and templates."""
    for language in settings.spoken:
        if language not in languages.available():
            yield error(
                "C500",
                "default_language" if language == settings.default_language else "languages",
                f"there is no wording in {language!r}, so the site does not start",
                f"Choose from {', '.join(languages.available())}",
            )
        elif not languages.reviewed(language):
            yield warning(
                "C507",
                "default_language" if language == settings.default_language else "languages",
                f"nobody who speaks {language!r} has reviewed its wording, and visitors are asked in it",
                "Have somebody read it, and correct what is wrong with `wording`",
            )
    for language, texts in settings.wording.items():
        if language not in settings.spoken:
            yield warning(
                "C504",
                f"wording.{language}",
                "nobody is asked in this language",
                f"Add {language!r} to languages, or remove these texts",
            )
        for key, text in texts.items():
            yield from _text(f"wording.{language}.{key}", key, text)
    folder = settings.templates_dir
    if folder is not None and not settings.path(folder).is_dir():
        yield error("C505", "templates_dir", f"there is no folder {str(folder)!r}", "Make it, or remove templates_dir")
    elif folder is not None:
        yield from _templates(settings.path(folder))


def _templates(folder: Path) -> Iterator[Finding]:
    ours = sorted(path.name for path in TEMPLATES.glob("*.html"))
    compiler = Environment(autoescape=True)
    for path in sorted(folder.glob("*.html")):
        if path.name not in ours:
            similar = get_close_matches(path.name, ours, n=1)
            remedy = f"Did you mean {similar[0]}?" if similar else f"There are {', '.join(ours)}"
            yield error("C506", str(path), "takes the place of no template of the package's", remedy)
            continue
        try:
            compiler.compile(path.read_text(encoding="utf-8"))
        except TemplateSyntaxError as wrong:
            yield error("C506", f"{path}, line {wrong.lineno}", wrong.message or "is no template", "Mend the template")
        except UnicodeDecodeError:
            yield error("C506", str(path), "is not UTF-8", "Save the file with the encoding UTF-8")
        except OSError as wrong:
            yield error("C506", str(path), f"cannot be read ({wrong.strerror})", "Make the file readable")


def _text(place: str, key: str, text: str) -> Iterator[Finding]:
    if key not in ENGLISH:
        similar = get_close_matches(key, ENGLISH, n=3)
        remedy = f"Did you mean {' or '.join(similar)}?" if similar else "Remove it, or correct its key"
        yield error("C501", place, "there is no text of this key", remedy)
        return
    own = ENGLISH[key]
    known = {name for one in ((own,) if isinstance(own, str) else own) for name in _fields(one)}
    try:
        given = _fields(text)
    except ValueError as refused:
        yield error("C503", place, f"its braces are not in order ({refused})", "Write {{ and }} for braces to be shown")
        return
    allowed = ", ".join(f"{{{name}}}" for name in sorted(known)) or "none"
    for name in sorted(given - known):
        yield error(
            "C503",
            place,
            f"nothing fills in {{{name}}}, and the page that shows this text would fail",
            f"Use what this text has: {allowed}",
        )
    for name in sorted(known - given):
        yield warning("C502", place, f"{{{name}}} is left out, which visitors are meant to be told", "Add it")


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
