"""Test what the tables say about services and cookies, and in which words."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from consent import languages
from consent.languages import available
from consent.policies import tables
from consent.policies.facts import Facts
from consent.policies.tables import WORDS, country_name, lifetime_in_words

MakeFacts = Callable[..., Facts]


@pytest.mark.parametrize(
    ("lifetime", "language", "words"),
    [
        ("P13M", "en", "13 months"),
        ("P30D", "en", "30 days"),
        ("P1D", "en", "1 day"),
        ("P2W", "en", "14 days"),
        ("P1Y", "en", "1 year"),
        ("P2Y", "en", "2 years"),
        ("PT20M", "en", "20 minutes"),
        ("PT60S", "en", "1 minute"),
        ("PT90M", "en", "1 hour and 30 minutes"),
        ("P1DT12H", "en", "1 day and 12 hours"),
        ("P1M15D", "en", "1 month and 15 days"),
        ("PT0S", "en", "0 seconds"),
        ("session", "en", "policy.lifetime.session"),
        ("P13M", "uk", "13 місяців"),
        ("P2Y", "uk", "2 роки"),
        ("P30D", "de-AT", "30 Tage"),
        ("P1DT2H30M", "de", "1 Tag, 2 Stunden und 30 Minuten"),
        ("P1M3D", "bg", "1 месец и 3 дни"),
        ("P1M", "mt", "1 xahar"),
        ("P6M", "mt", "6 xhur"),
        ("P13M", "mt", "13-il xahar"),
        ("P2Y", "mt", "2 snin"),
        ("P30D", "mt", "30 jum"),
        ("PT0S", "mt", "0 sekondi"),
        ("P30D", "xx", "30 days"),
    ],
)
def test_lifetimes_are_said_in_words(lifetime: str, language: str, words: str) -> None:
    """Durations are said in the reader's language, whole years as years, and an unknown language in English."""
    assert lifetime_in_words(lifetime, language=language, words=str) == words


def test_a_lifetime_that_is_none_is_refused() -> None:
    """A text that is no duration raises ValueError."""
    with pytest.raises(ValueError, match="is not a lifetime"):
        lifetime_in_words("a year", language="en", words=str)


@pytest.mark.parametrize("language", available())
def test_every_language_has_words_for_every_lifetime(language: str) -> None:
    """Say a number and a word, whatever Unicode's data leave out."""
    for lifetime in (
        "P1M",
        "P2M",
        "P6M",
        "P11M",
        "P13M",
        "P1Y",
        "P2Y",
        "P1D",
        "P30D",
        "P400D",
        "PT2H",
        "PT30M",
        "PT60S",
        "P1M3D",
        "P1DT2H30M",
    ):
        said = lifetime_in_words(lifetime, language=language, words=str)
        assert said, lifetime
        assert "duration" not in said
        numbers = re.findall(r"\d+", said)
        assert len(numbers) == len(set(numbers)), f"{lifetime}: {said}"
        english = {"mon", "day", "days", "hr", "yr", "sec", "month", "months"}
        assert language == "en" or english.isdisjoint(re.findall(r"\w+", said)), said


@pytest.mark.parametrize(
    ("code", "language", "name"),
    [("IE", "en", "Ireland"), ("ie", "uk", "Ірландія"), ("ZZZ", "en", "ZZZ"), ("", "en", "")],
)
def test_countries_are_named(code: str, language: str, name: str) -> None:
    """ISO codes become names in the reader's language, and anything else stays as it is."""
    assert country_name(code, language) == name


def test_services_stand_under_their_purposes(make_facts: MakeFacts) -> None:
    """Each service is told with all that the catalogue knows, and with nothing that it does not."""
    groups = tables.services(make_facts(), language="uk", words=str)
    assert [(group.title, [entry.title for entry in group.entries]) for group in groups] == [
        ("Вимірювання", ["Статистика читачів"]),
        ("media", ["Lantern"]),
    ]
    (own,), (lantern,) = (group.entries for group in groups)
    assert [(detail.label, [value.text for value in detail.values]) for detail in own.details] == [
        ("policy.provider", ["Meridian Media Ltd (Ірландія)"]),
        ("policy.data", ["pages read, coarse location"]),
        ("policy.cookies", ["_rs — 13 місяців", "_rs_* — policy.lifetime.session"]),
        ("policy.storage", ["rs.queue"]),
        ("policy.hosts", ["stats.meridian.example"]),
    ]
    assert [detail.label for detail in lantern.details] == [
        "policy.provider",
        "policy.role",
        "policy.hosts",
        "policy.recipients",
        "policy.transfer",
        "policy.retention",
        "policy.sells",
        "policy.link",
    ]
    assert lantern.details[5].values[0].text == "2 роки"


def test_a_retention_in_words_stays_as_it_is(make_facts: MakeFacts) -> None:
    """Not every provider says its retention as a duration."""
    facts = make_facts({"a": {"purpose": "media", "hosts": ["a.example"], "retention": "until you ask"}})
    details = tables.services(facts, language="en", words=str)[0].entries[0].details
    assert ("policy.retention", "until you ask") in [(one.label, one.values[0].text) for one in details]


def test_a_necessary_service_says_why(make_facts: MakeFacts) -> None:
    """The justification is told for a strictly necessary service only."""
    table = {"hosts": ["a.example"], "justification": "keeps the basket"}
    for purpose, shown in (("necessary", True), ("analytics", False)):
        facts = make_facts({"a": table | {"purpose": purpose}})
        details = tables.services(facts, language="en", words=str)[0].entries[0].details
        assert ("policy.justification" in [one.label for one in details]) is shown


def test_cookies_and_storage_stand_in_one_table(make_facts: MakeFacts) -> None:
    """Every stored thing has a row with its service, purpose, kind and lifetime."""
    table = tables.cookies(make_facts(), language="en", words=str)
    assert len(table.head) == 5
    assert [[value.text for value in row] for row in table.rows] == [
        ["_rs", "Reader statistics", "Measurement", "policy.cookie", "13 months"],
        ["_rs_*", "Reader statistics", "Measurement", "policy.cookie", "policy.lifetime.session"],
        ["rs.queue", "Reader statistics", "Measurement", "policy.storage", "policy.lifetime.storage"],
    ]


def test_recipients_are_told_with_country_and_transfer(make_facts: MakeFacts) -> None:
    """Every service has a row that says who gets the data and where."""
    table = tables.recipients(make_facts(name="Somebody Else Ltd"), language="en", words=str)
    assert [[value.text for value in row] for row in table.rows] == [
        ["Lantern", "Lantern & Sons", "United States", "media", "EU-US Data Privacy Framework"],
        ["Reader statistics", "Meridian Media Ltd", "Ireland", "Measurement", ""],
    ]


def test_a_controller_is_no_recipient_of_its_own_data(make_facts: MakeFacts) -> None:
    """The site's own services are left out of the table of recipients."""
    table = tables.recipients(make_facts(), language="en", words=str)
    assert [row[0].text for row in table.rows] == ["Lantern"]


def test_no_key_is_asked_for_that_is_not_listed(make_facts: MakeFacts) -> None:
    """The list of keys is complete, and the English wording has them all."""
    asked: set[str] = set()

    def words(key: str) -> str:
        asked.add(key)
        return languages.wording("en")(key)

    facts = make_facts(
        {
            role: {
                "purpose": "necessary",
                "hosts": [f"{role}.example"],
                "provider": "P",
                "role": role,
                "data": ["d"],
                "cookies": [{"name": "c", "lifetime": "session"}],
                "storage": ["s"],
                "recipients": ["r"],
                "transfer": "t",
                "retention": "P1M",
                "justification": "j",
                "sells_or_shares": True,
                "policy_url": "https://p.example/",
            }
            for role in ("controller", "joint-controller", "processor")
        }
    )
    for layout in (tables.services, tables.cookies, tables.recipients):
        layout(facts, language="en", words=words)
    assert asked == set(WORDS)
