"""Check every language: nothing missing, nothing left in English, the same fields, all plural forms."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from io import BytesIO
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from consent.choice.wording import ENGLISH
from consent.errors import ConfigurationError
from consent.languages import available, direction, wording
from tests import shown

TRANSLATED = [tag for tag in available() if tag != "en"]


def catalogue(language: str) -> Catalog:
    """Return the gettext catalogue of a language."""
    data = (resources.files("consent") / "locale" / f"{language}.po").read_bytes()
    return read_po(BytesIO(data), locale=language.replace("-", "_"))


def messages(language: str) -> dict[str, Message]:
    """Return the messages of a language by key."""
    return {str(message.context): message for message in catalogue(language) if message.id}


def fields(text: str) -> set[str]:
    """Return the names of the fields a text is filled with."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def texts(message: Message) -> list[str]:
    """Return the text, or all plural forms, of a message."""
    return list(message.string) if isinstance(message.string, tuple | list) else [str(message.string)]


def test_there_are_languages() -> None:
    """Speak at least English and Ukrainian."""
    assert {"en", "uk"} <= set(available())


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_message_is_missing_or_left_over(language: str) -> None:
    """Hold exactly the keys of the English wording, each once, made from today's English text."""
    found = [str(message.context) for message in catalogue(language) if message.id]
    assert sorted(found) == sorted(ENGLISH)
    for key, message in messages(language).items():
        english = ENGLISH[key]
        assert message.id == english, key
        assert not message.fuzzy, key


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_message_is_untranslated(language: str) -> None:
    """Give every key a text of its own in every plural form."""
    forms = catalogue(language).num_plurals
    for key, message in messages(language).items():
        assert all(text.strip() for text in texts(message)), key
        assert len(texts(message)) == (forms if message.pluralizable else 1), key
        english = ENGLISH[key]
        same = texts(message)[0] == (english if isinstance(english, str) else english[0])
        assert not same, f"{key} is still English"


@pytest.mark.parametrize("language", TRANSLATED)
def test_fields_are_the_same(language: str) -> None:
    """Use the same {fields} as the English text, in every plural form."""
    for key, message in messages(language).items():
        english = ENGLISH[key]
        wanted = fields(english if isinstance(english, str) else english[1])
        for text in texts(message):
            assert fields(text) == wanted, key


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_says_whether_a_speaker_has_reviewed_it(language: str) -> None:
    """State yes or no in the header, so that a site can be warned."""
    headers = {str(name): value for name, value in catalogue(language).mime_headers}
    data = (resources.files("consent") / "locale" / f"{language}.po").read_text(encoding="utf-8")
    assert headers["Language"] == language
    assert re.search(r'^"X-Speaker-Reviewed: (yes|no)\\n"$', data, re.MULTILINE)


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 сервісів"), (1, "1 сервіс"), (2, "2 сервіси"), (5, "5 сервісів"), (11, "11 сервісів"), (21, "21 сервіс")],
)
def test_ukrainian_counts_in_three_forms(n: int, words: str) -> None:
    """Choose the plural form by the number."""
    assert wording("uk")("choices.services", n=n) == words


@pytest.mark.parametrize(("n", "words"), [(0, "0 services"), (1, "1 service"), (2, "2 services")])
def test_english_counts_in_two_forms(n: int, words: str) -> None:
    """Choose the plural form by the number."""
    assert wording("en")("choices.services", n=n) == words


def test_fields_are_filled_in() -> None:
    """Put the given values into the text of either language."""
    assert wording("en")("banner.title", site="The Meridian") == "Your choice at The Meridian"
    assert "The Meridian" in wording("uk")("banner.title", site="The Meridian")


def test_a_site_overrides_any_wording_by_key() -> None:
    """Prefer a site's own text, fields included."""
    own = wording("uk", {"banner.title": "Питання від {site}", "choices.services": "сервісів: {n}"})
    assert own("banner.title", site="The Meridian") == "Питання від The Meridian"
    assert own("choices.services", n=3) == "сервісів: 3"
    assert own("banner.accept_all") == wording("uk")("banner.accept_all")


def test_what_holds_everywhere_needs_not_be_given() -> None:
    """Fill in the site's name wherever a text has room for it, leave other braces alone, and archive it unfilled."""
    own = replace(wording("en", {"choices.title": "At {site} {and so on"}), fields={"site": "The Meridian"})
    assert own("banner.title") == "Your choice at The Meridian"
    assert own("banner.title", site="Another") == "Your choice at Another"
    assert own("choices.title") == "At The Meridian {and so on"
    assert own("banner.ask", n=2) == "We ask to use 2 services for:"
    assert own.texts("banner.title") == {"banner.title": "Your choice at {site}"}


def test_what_is_shown_when_asking_can_be_archived() -> None:
    """Give every text under the prefixes of the first and second layer, in either language."""
    asked = wording("uk").texts("banner.", "choices.", "purpose.")
    assert asked.keys() == {key for key in ENGLISH if key.startswith(("banner.", "choices.", "purpose."))}
    assert all(asked.values())


def test_every_key_that_templates_name_exists() -> None:
    """Keep a misspelt key from becoming an error page."""
    for path in shown.TEMPLATES.iterdir():
        source = path.read_text(encoding="utf-8")
        for key in re.findall(r'\bt\("([^"]+)"[,)]', source):
            assert key in ENGLISH, path.name
        for stem in re.findall(r'\bt\("([^"]+)" ~', source):
            assert any(key.startswith(stem) for key in ENGLISH), path.name


@pytest.mark.parametrize("purpose", ["necessary", "functional", "analytics", "marketing", "media"])
def test_standard_purposes_have_words(purpose: str) -> None:
    """Name and describe each standard purpose."""
    assert {f"purpose.{purpose}.title", f"purpose.{purpose}.description"} <= ENGLISH.keys()


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, "not_recorded"])
def test_every_error_says_what_to_do(status: int | str) -> None:
    """Have a title, a message and an action for each error page."""
    assert {f"error.{status}.{part}" for part in ("title", "message", "action")} <= ENGLISH.keys()


def test_an_unknown_language_is_refused() -> None:
    """Name the languages there are."""
    with pytest.raises(ConfigurationError, match="uk"):
        wording("xx")


@pytest.mark.parametrize(("language", "way"), [("en", "ltr"), ("uk", "ltr"), ("ar", "rtl"), ("he", "rtl")])
def test_direction(language: str, way: str) -> None:
    """Know which way a language is written."""
    assert direction(language) == way
