"""Check every language: nothing missing, nothing left in English, the same fields, all plural forms."""

from __future__ import annotations

import gettext
import re
import unicodedata
from dataclasses import replace
from string import Formatter

import pytest
from babel.messages.catalog import Message

from consent.choice.wording import ENGLISH
from consent.errors import ConfigurationError
from consent.languages import available, catalogue, direction, reviewed, wording
from tests import catalogues, shown

TRANSLATED = [tag for tag in available() if tag != "en"]


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
    assert sorted(found) == sorted(catalogues.keys(language))
    for key, message in messages(language).items():
        english = ENGLISH[key]
        assert message.id == english, key
        assert not message.fuzzy, key


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_message_is_untranslated(language: str) -> None:
    """Give every key a text of its own in every plural form; what is rightly as in English says so in a comment."""
    for key, message in messages(language).items():
        assert all(text.strip() for text in texts(message)), key
        english = ENGLISH[key]
        same = texts(message)[0] == (english if isinstance(english, str) else english[0])
        assert same == (catalogues.SAME in message.user_comments), (
            f"{key} is still English: translate it, or put the line '# {catalogues.SAME}' before it"
            if same
            else f"{key} is not the same as in English: remove the comment that says so"
        )


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_counts_as_its_language_does(language: str) -> None:
    """Have a plural form for exactly each kind of number that Unicode's CLDR tells apart, in every plural message."""
    choose = gettext.c2py(catalogue(language).plural_expr)
    assert catalogues.kinds(choose) == catalogues.unicode_kinds(language)
    forms = {choose(n) for n in catalogues.COUNTS}
    assert forms == set(range(catalogue(language).num_plurals))
    for key, message in messages(language).items():
        assert message.pluralizable == (not isinstance(ENGLISH[key], str)), key
        assert len(texts(message)) == (len(forms) if message.pluralizable else 1), key


@pytest.mark.parametrize("language", TRANSLATED)
def test_fields_are_the_same(language: str) -> None:
    """Use the same {fields} as English; a plural form that stands for a single number may leave the number out."""
    choose = gettext.c2py(catalogue(language).plural_expr)
    counted = [choose(n) for n in catalogues.COUNTS]
    for key, message in messages(language).items():
        english = ENGLISH[key]
        wanted = fields(english if isinstance(english, str) else english[1])
        for form, text in enumerate(texts(message)):
            single = message.pluralizable and counted.count(form) == 1
            assert fields(text) in ((wanted, wanted - {"n"}) if single else (wanted,)), f"{key}: {text}"


@pytest.mark.parametrize("language", TRANSLATED)
def test_texts_are_plain(language: str) -> None:
    """Hold no HTML, no invisible character, no space at an end, and only composed characters."""
    for key, message in messages(language).items():
        for text in texts(message):
            assert not re.search(r"[<>]|&#?\w+;", text), f"{key} holds HTML: {text}"
            hidden = [unicodedata.name(c, hex(ord(c))) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co")]
            assert not hidden, f"{key} holds {hidden}"
            assert not re.search(r"^\s|\s\s|\s$", text), f"{key} has a space too many"
            assert text == unicodedata.normalize("NFC", text), f"{key} has decomposed characters"


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_is_in_its_written_form(language: str) -> None:
    """Let `python -m tests.catalogues` find nothing to bring in, take out, reorder or spell in another way."""
    path = catalogues.FOLDER / f"{language}.po"
    assert path.read_text(encoding="utf-8") == catalogues.written(language)


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_says_whether_a_speaker_has_reviewed_it(language: str) -> None:
    """State yes or no in the header, so that a site can be warned."""
    data = (catalogues.FOLDER / f"{language}.po").read_text(encoding="utf-8")
    assert dict(catalogue(language).mime_headers)["Language"] == language
    says = re.findall(r'^"X-Speaker-Reviewed: (yes|no)\\n"$', data, re.MULTILINE)
    assert says == ["yes" if reviewed(language) else "no"]


def test_english_needs_no_review() -> None:
    """Take the language that the texts are written in as reviewed."""
    assert reviewed("en")


def test_a_new_language_begins_with_its_plural_rule() -> None:
    """Make a catalogue for translators with every key, empty, and as many forms as the language has."""
    assert "cy" not in available(), "take a language that nobody has translated yet"
    made = catalogues.written("cy")
    assert '"Plural-Forms: nplurals=6;' in made
    assert made.count("msgctxt") == len(catalogues.keys("cy"))
    assert made.count('msgstr[5] ""') == sum(not isinstance(ENGLISH[key], str) for key in catalogues.keys("cy"))
    assert "[3] for 3, 4, 5, 6" in catalogues.written("ar")


@pytest.mark.parametrize("tag", ["ar", "az", "cs", "es", "fr", "he", "hu", "hy", "ka", "lv", "mt", "pt", "sl", "tr"])
def test_plural_rules_are_those_of_unicode(tag: str) -> None:
    """Write rules that gettext reads, and that tell the same numbers apart as CLDR does."""
    forms, rule = catalogues.plural_rule(tag)
    choose = gettext.c2py(rule)
    assert catalogues.kinds(choose) == catalogues.unicode_kinds(tag)
    assert {choose(n) for n in catalogues.COUNTS} == set(range(forms))


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


@pytest.mark.parametrize(("language", "words"), [("en", "12,345 services"), ("uk", "12 345 сервісів")])
def test_numbers_are_written_as_the_language_does(language: str, words: str) -> None:
    """Group the digits of a number in the way of the language."""
    assert wording(language)("choices.services", n=12345).replace("\xa0", " ") == words


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


@pytest.mark.parametrize("language", ["en", "uk", "ka", "hy", "sr-Latn"])
def test_most_languages_are_written_from_left_to_right(language: str) -> None:
    """Know that a language is written from left to right."""
    assert direction(language) == "ltr"


@pytest.mark.parametrize("language", ["ar", "he", "fa", "ur", "ckb", "az-Arab"])
def test_some_languages_are_written_from_right_to_left(language: str) -> None:
    """Know that a language is written from right to left, by its script where it has several."""
    assert direction(language) == "rtl"
