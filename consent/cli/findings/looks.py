"""Look at how the question is put: whether it can be read, and whether yes and no weigh the same."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from jinja2 import TemplateError

from consent import assets, languages, shipped
from consent.cli.findings.finding import Finding, error
from consent.colour import Colour
from consent.errors import ConfigurationError
from consent.pages import Pages
from consent.settings import ConsentSettings
from consent.theme import Colours

TEXT_CONTRAST = 5.0
"""What text must reach: the trade's own rule for calls to action (IAB Europe TCF Policies, Appendix B)."""
LINE_CONTRAST = 3.0
"""What borders must reach (WCAG 2.2, 1.4.11)."""
TEXTS = (
    *(("ink", "paper"), ("ink", "wash"), ("quiet", "paper"), ("quiet", "wash")),
    *(("accent", "paper"), ("accent", "wash"), ("on_accent", "accent")),
)
LINES = (("line", "paper"), ("line", "wash"), ("accent", "paper"))
BANNER = "consent_banner.html"
ASKED: dict[str, dict[str, Any]] = {
    "a first visit": {"open": False, "changed": None},
    "a first visit where services run before an answer": {"open": True, "changed": None},
    "a visit after something changed": {
        "open": False,
        "changed": {"purposes": ["A"], "services": [], "all": False, "policies": []},
    },
}
"""What the first layer is rendered for, by whom it meets."""
LABELS = (
    ("banner.accept_all", "banner.reject_all"),
    ("banner.accept_all_open", "banner.reject_all_open"),
    ("banner.accept_changed", "banner.reject_changed"),
    ("banner.accept_changed_open", "banner.reject_changed_open"),
    ("choices.accept_all", "choices.reject_all"),
)
LONGER = 3
"""How many times as long one label may be as its counterpart."""
OWN = frozenset({"value", "name", "form", "id"})
"""Attributes of a button that may differ: they say what it sends, and show nothing."""


def find(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what makes the question hard to read, or one answer harder to give than the other."""
    for table, colours in settings.look.seen.items():
        yield from _contrast(table, colours)
    spoken = [tag for tag in settings.spoken if tag in languages.available()]
    for language in spoken:
        yield from _labels(settings, language)
    own = settings.templates_dir is not None and (settings.path(settings.templates_dir) / BANNER).is_file()
    if own and spoken:
        yield from _banner(settings, tuple(spoken))


def _contrast(table: str, colours: Colours) -> Iterator[Finding]:
    for pairs, least, what in ((TEXTS, TEXT_CONTRAST, "text"), (LINES, LINE_CONTRAST, "borders")):
        for front, ground in pairs:
            names = [getattr(colours, name) for name in (front, ground)]
            reached = Colour.parse(names[0]).contrast(Colour.parse(names[1]))
            if reached < least:
                yield error(
                    "C510",
                    f"{table}.{front}",
                    f"{what} of {names[0]} on {ground} {names[1]} reach a contrast of {reached:.2f}:1",
                    f"Choose colours that reach {least:g}:1",
                )


def _labels(settings: ConsentSettings, language: str) -> Iterator[Finding]:
    given = settings.wording.get(language, {})
    words = languages.wording(language, given)
    for accept, reject in LABELS:
        if not {accept, reject} & given.keys():
            continue
        texts = {key: words(key).strip() for key in (accept, reject)}
        place = f"wording.{language}.{reject if reject in given else accept}"
        short, long = sorted(texts.values(), key=len)
        for key, text in texts.items():
            if not any(character.isalpha() for character in text):
                yield error("C511", f"wording.{language}.{key}", "a button without words", "Say what it does in words")
        if short == long:
            yield error("C511", place, f"both answers read {short!r}", "Say what each of them does")
        elif short and len(long) > LONGER * len(short):
            yield error(
                "C511",
                place,
                f"{long!r} is more than {LONGER} times as long as {short!r}, and its button would look another way",
                "Say yes and no in about as many words",
            )


def _banner(settings: ConsentSettings, spoken: tuple[str, ...]) -> Iterator[Finding]:
    folder = settings.path(settings.templates_dir) if settings.templates_dir else None
    place = str((folder or shipped.TEMPLATES) / BANNER)
    try:
        pages = Pages(
            site_name=settings.name,
            prefix=settings.prefix,
            assets=assets.load(shipped.STATIC, settings.look),
            spoken=spoken,
            overrides={},
            templates=folder,
        )
    except (ConfigurationError, UnicodeDecodeError, OSError):
        return  # C506 says so
    for meeting, state in ASKED.items():
        try:
            html = pages.render(BANNER, language=spoken[0], **_context(settings, state))
        except TemplateError as wrong:
            yield error("C506", place, f"cannot be rendered ({wrong})", "Mend the template")
            return
        wrong_with = _unequal(Answers(html).found)
        if wrong_with:
            yield error(
                "C512",
                place,
                f"on {meeting}, {wrong_with}",
                "Give yes and no the same element, with the same attributes and class, in the same place",
            )
            return


def _context(settings: ConsentSettings, state: dict[str, Any]) -> dict[str, Any]:
    carried: dict[str, list[str]] | None = {"purposes": [], "services": [], "without": []} if state["changed"] else None
    shown = {"purposes": [{"key": "a", "title": "A", "description": "A.", "services": []}], "services_count": 1}
    kept = {"same": [], "validity": settings.validity, "policies": [], "gpc": False}
    visit = {"notice": "0" * 64, "next": "/", "allowed": [], "status": "unknown", "change_link": settings.change_link}
    return shown | kept | visit | {"carried": carried, "reject_carried": carried} | state


class Answers(HTMLParser):
    """Collect the elements that send an answer, each with how it stands on the page and its words."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, Any]] = []
        self._open: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that sends an answer, and what it stands in."""
        given = {name: value or "" for name, value in attrs}
        if given.get("name") == "choice" and tag in ("button", "input"):
            looks = sorted((name, value) for name, value in given.items() if name not in OWN)
            self.found.append({"value": given.get("value", ""), "how": (tag, looks, tuple(self._open)), "text": ""})
        if tag not in ("input", "link", "meta", "br", "img", "hr"):
            self._open.append((tag, given.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element, with whatever was left open in it."""
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note the words of a button."""
        if self.found and ("button" in [name for name, _ in self._open]):
            self.found[-1]["text"] += data


def _unequal(answers: list[dict[str, Any]]) -> str:
    """Return what sets the answers of a first layer apart, empty where nothing does."""
    if len(answers) != 2:
        return f"it has {len(answers)} button{'s' * (len(answers) != 1)} that answer, and not a yes and a no"
    yes, no = answers
    if (yes["value"], no["value"]) not in (("accept_all", "reject_all"), ("save", "save")):
        return f"its buttons send {yes['value']!r} and {no['value']!r}, and not a yes and a no in this order"
    if yes["how"] != no["how"]:
        parts = ("element", "attributes", "place")
        differ = [part for part, one, other in zip(parts, yes["how"], no["how"], strict=True) if one != other]
        return f"yes and no differ in their {' and '.join(differ)}"
    hidden = {"hidden", "disabled", "style", "inert", "tabindex"} & {name for name, _ in yes["how"][1]}
    if hidden:
        return f"its answers are {' and '.join(sorted(hidden))}"
    if not all(one["text"].strip() for one in answers):
        return "a button has no words"
    return ""
