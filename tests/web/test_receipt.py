"""Keep, read, carry over and erase what the ledger holds about one visitor."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pyld import jsonld
from starlette.testclient import TestClient

from consent import testing, verify
from consent.ledger import code, receipt
from consent.site import Site
from tests.conftest import ORIGIN, MakeClient

SCHEMA = json.loads(receipt.schema())
CODE = re.compile(r'<output class="cst-code"[^>]*>([^<]+)</output>')


@pytest.fixture
def site(make_site: Any) -> Site:
    """Return a site in two languages."""
    site: Site = make_site(languages=("en", "uk"))
    site.start()
    return site


@pytest.fixture
def client(site: Site, make_client: MakeClient) -> TestClient:
    """Return a visitor who agreed twice."""
    client = make_client(site)
    testing.grant(client, "analytics")
    testing.grant(client, "analytics", "media")
    return client


def by_code(client: TestClient, do: str, typed: str = "", **options: Any) -> Any:
    """Send the form of a receipt code."""
    return client.post("/privacy/receipt/code", data={"do": do, "code": typed}, **options)


def made(client: TestClient) -> str:
    """Make a receipt code."""
    found = CODE.search(by_code(client, "make").text)
    assert found is not None
    return found[1]


# -- what it says


def test_a_receipt_fits_its_schema(client: TestClient) -> None:
    """The receipt is what the published JSON Schema describes, and says by what schema and profile it goes."""
    Draft202012Validator.check_schema(SCHEMA)
    told = client.get("/privacy/receipt.json").json()
    Draft202012Validator(SCHEMA).validate(told)
    profile, own = told["dct:conformsTo"]
    assert profile == "https://w3id.org/dpv/schema/dpv-27560#receipt"
    assert own == f"{ORIGIN}/privacy/schemas/receipt-1.json"
    published = client.get("/privacy/schemas/receipt-1.json")
    assert (published.json(), published.headers["content-type"]) == (SCHEMA, "application/schema+json")
    assert client.get("/privacy/schemas/receipt-1.context.json").json() == told["@context"]
    assert client.get("/privacy/schemas/nothing.json").status_code == 404


@pytest.mark.parametrize("missing", [name for name in SCHEMA["required"] if name != "@context"])
def test_the_schema_refuses_what_lacks_something(client: TestClient, missing: str) -> None:
    """A receipt without one of its fields is none, nor is a record without its entry."""
    told = client.get("/privacy/receipt.json").json()
    validator = Draft202012Validator(SCHEMA)
    assert not validator.is_valid({name: value for name, value in told.items() if name != missing})
    record = told["dpv:hasRecordOfActivity"][0]
    del record["consent:entry"]
    assert not validator.is_valid(told)


def test_a_receipt_is_linked_data(client: TestClient) -> None:
    """A JSON-LD processor understands every term, without asking the network for anything."""

    def no_network(url: str, options: Any) -> Any:
        raise AssertionError(url)

    told = client.get("/privacy/receipt.json").json()
    (expanded,) = jsonld.expand(told, {"documentLoader": no_network})
    terms = set(re.findall(r'"([^"@]+)": ', json.dumps(expanded)))
    assert terms
    assert {term.partition(":")[0] for term in terms} <= {"http", "https", "urn"}
    given = set(re.findall(r'"((?:dpv|dct|schema|consent|skos|rdf):\w+)": ', json.dumps({**told, "@context": None})))
    assert len(given) == len(terms), "a processor dropped a term"
    (record, _) = expanded["https://w3id.org/dpv#hasRecordOfActivity"]
    (status,) = record["https://w3id.org/dpv#hasConsentStatus"]
    assert status["@type"][0] == "https://w3id.org/dpv#ConsentGiven"


def test_a_receipt_says_what_was_agreed_to(client: TestClient) -> None:
    """Each record tells status, method, duration, notice, services with purpose, provider and lifetimes, and rights."""
    first, second = client.get("/privacy/receipt.json").json()["dpv:hasRecordOfActivity"]
    assert first["dpv:hasConsentStatus"][0]["dpv:hasDuration"]["rdf:value"] == "P6M"
    assert second["dpv:hasConsentStatus"][0]["@type"][0] == "dpv:RenewedConsentGiven"
    processes = {one["dct:identifier"]: one for one in first["dpv:hasProcess"]}
    stats = processes["reader-stats"]
    assert stats["dpv:hasConsentStatus"]["@type"] == "dpv:ConsentGiven"
    assert stats["dpv:hasPurpose"]["skos:broader"] == "dpv:ServiceUsageAnalytics"
    assert stats["dpv:hasConsentControl"]["dpv:isExercisedAt"] == f"{ORIGIN}/privacy/choices"
    assert processes["lantern-video"]["dpv:hasConsentStatus"]["@type"] == "dpv:ConsentRefused"
    controller = first["dpv:hasEntity"][0]
    assert controller["dpv:hasName"] == "Meridian Media Ltd"
    assert {"@type": "schema:ContactPoint"}.items() <= controller["schema:contactPoint"][0].items()
    notice = first["dpv:hasNotice"][0]
    assert client.get(notice["@id"].removeprefix(ORIGIN) + ".json").headers["etag"] == f'"{notice["consent:sha256"]}"'


def checked(told: Any, *, key: str | None = None) -> verify.Report:
    """Check a receipt as an auditor does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "receipt.json"
        path.write_text(json.dumps(told))
        return verify.verify(path, key=key)


def test_a_receipt_verifies_offline(client: TestClient, site: Site) -> None:
    """Every record's exact bytes lead to a checkpoint that the key of the ledger signed, and say the same."""
    told = client.get("/privacy/receipt.json").json()
    report = checked(told, key=site.ledger.signer.verifier.text)
    assert report.problems == []
    assert [fact.split(" ")[1] for fact in report.facts[1:3]] == ["given,", "renewed,"]


def altered(told: Any, path: list[Any], value: Any) -> Any:
    """Return a receipt with one place of it changed."""
    copy = json.loads(json.dumps(told))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["dct:identifier"], "00000000-0000-4000-8000-000000000000"),
        (["consent:entry"], "{}"),
        (["consent:index"], 0),
        (["consent:index"], -1),
        (["consent:index"], "1"),
        (["consent:path"], []),
        (["consent:path"], ["AA=="]),
        (["consent:recordedAt"], "2020-01-01T00:00:00Z"),
        (["dpv:hasConsentStatus", 0, "@type", 0], "dpv:ConsentRefused"),
        (["dpv:hasConsentStatus", 0, "dpv:isIndicatedAtTime"], "2020-01-01T00:00:00Z"),
        (["dpv:hasConsentStatus"], []),
        (["dpv:hasProcess", 0, "dpv:hasConsentStatus", "@type"], "dpv:ConsentRefused"),
        (["dpv:hasProcess"], None),
        (["dpv:hasConsentStatus", 0, "dpv:hasIndicationMethod"], "api"),
        (["consent:late"], True),
        (["consent:regime"], "opt-out"),
        (["consent:scope"], "once"),
        (["dpv:hasNotice", 0, "consent:sha256"], "0" * 64),
    ],
)
def test_an_altered_receipt_does_not_verify(client: TestClient, path: list[Any], value: Any) -> None:
    """Whatever is changed in a record is found, and is an answer and no accident."""
    told = client.get("/privacy/receipt.json").json()
    assert checked(altered(told, ["dpv:hasRecordOfActivity", 1, *path], value)).problems


@pytest.mark.parametrize("name", ["consent:key", "consent:checkpoint", "dpv:hasRecordOfActivity"])
@pytest.mark.parametrize("value", [None, "", "x", {}])
def test_a_receipt_without_its_seal_does_not_verify(client: TestClient, name: str, value: Any) -> None:
    """A key, checkpoint or list of records that is none is found."""
    told = client.get("/privacy/receipt.json").json()
    if value in ("", {}) and name == "dpv:hasRecordOfActivity":
        assert checked(altered(told, [name], value)).entries == 0
        return
    assert checked(altered(told, [name], value)).problems


def test_neither_code_nor_number_is_in_a_receipt(client: TestClient, site: Site) -> None:
    """What a receipt holds names the visitor in no form by which they could be found again."""
    typed = made(client)
    (revoked,) = {site.ledger.consent_id_of(code.digest(typed))}
    assert revoked is not None
    spellings = (
        revoked.hex(),
        base64.b64encode(revoked).decode().rstrip("="),
        base64.urlsafe_b64encode(revoked).decode().rstrip("="),
        typed,
        typed.replace("-", ""),
        code.digest(typed).hex(),
    )
    text = client.get("/privacy/receipt.json").text
    page = client.get("/privacy/receipt").text
    assert not [one for one in spellings if one in text or one in page]


def test_the_page_shows_every_choice_with_its_text(client: TestClient) -> None:
    """Each choice stands there with its answers and the words it was made under, in the language of that time."""
    client.post("/privacy/language", data={"language": "uk", "next": "/"})
    page = client.get("/privacy/receipt").text
    assert '<html lang="uk" dir="ltr"' in page
    assert page.count("Про що вас питали") == 2
    assert '<div lang="en" dir="ltr">' in page
    assert "Counting visits and seeing which pages are read" in page
    assert page.index("Повторна згода,") < page.index("Згода,")
    assert page.count("/privacy/notices/") == 2


@pytest.mark.parametrize("path", ["/privacy/receipt", "/privacy/receipt.json", "/privacy/receipt/code"])
def test_a_receipt_is_kept_and_referred_to_nowhere(client: TestClient, path: str) -> None:
    """No cache keeps a receipt, and no page it leads to learns where the visitor came from."""
    headers = client.get(path).headers
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")


def test_who_granted_nothing_has_no_number(site: Site, make_client: MakeClient) -> None:
    """Who refused is told that there is no number, and their receipt is valid and empty."""
    client = make_client(site)
    testing.refuse(client)
    assert "We keep no number for you" in client.get("/privacy/receipt").text
    told = client.get("/privacy/receipt.json").json()
    Draft202012Validator(SCHEMA).validate(told)
    assert told["dpv:hasRecordOfActivity"] == []
    assert by_code(client, "make").headers["location"] == "/privacy/receipt"


# -- by code


def test_a_code_shows_the_records_elsewhere(client: TestClient, site: Site, make_client: MakeClient) -> None:
    """Whoever types the code, however they type it, reads the same records, and their own choice stays theirs."""
    typed = made(client)
    other = make_client(site)
    for spelling in (typed, typed.lower(), typed.replace("-", " "), typed.replace("-", ""), f"  {typed}\t"):
        page = by_code(other, "show", spelling)
        assert page.status_code == 200
        assert page.text.count("<li>\n<h2>") == 2
        assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert other.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    told = by_code(other, "download", typed).json()
    assert told["dpv:hasRecordOfActivity"] == client.get("/privacy/receipt.json").json()["dpv:hasRecordOfActivity"]
    assert typed not in client.get("/privacy/receipt").text


def test_a_code_shows_what_came_after_it(client: TestClient, site: Site, make_client: MakeClient) -> None:
    """Choices made after the code was made are found by it too."""
    typed = made(client)
    testing.grant(client, "media")
    assert by_code(make_client(site), "show", typed).text.count("<li>\n<h2>") == 3


def test_a_new_code_takes_the_place_of_the_old(client: TestClient) -> None:
    """There is one code at a time."""
    old = made(client)
    new = made(client)
    assert by_code(client, "show", old).status_code == 404
    assert by_code(client, "show", new).status_code == 200


@pytest.mark.parametrize("typed", ["", "x", "0" * 28, "\u0406" * 28, "\U0001f370", "-" * 5000, "' OR 1=1"])
def test_a_wrong_code_is_told_plainly(client: TestClient, typed: str) -> None:
    """Whatever is no code gets one and the same message, as a page or as JSON."""
    made(client)
    page = by_code(client, "show", typed)
    assert page.status_code == 404
    assert "We have no records under this code" in page.text
    answer = client.post("/privacy/receipt/code", json={"do": "download", "code": typed})
    assert (answer.status_code, answer.json()["error"]) == (404, 404)


def test_guessing_is_slowed_down(client: TestClient) -> None:
    """After many wrong codes no more are tried for a while, and no address is needed for that."""
    typed = made(client)
    answers = [by_code(client, "show", f"{n:028}").status_code for n in range(25)]
    assert answers == [404] * 20 + [429] * 5
    assert by_code(client, "show", typed).status_code == 429
    assert client.get("/privacy/receipt").status_code == 200
    assert client.post("/privacy/erase").status_code == 303


def test_erasing_by_code_asks_twice(client: TestClient, site: Site, make_client: MakeClient) -> None:
    """The first press asks again and changes nothing; the second takes every yes back, in the other browser too."""
    typed = made(client)
    other = make_client(site)
    question = by_code(other, "erase", typed)
    assert "Erase these records for good?" in question.text
    assert unescape(question.text).count(typed) == 1
    assert "reader-stats" in client.get("/privacy/state").json()["allowed"]
    assert "This code shows nothing any more" in by_code(other, "erase_now", typed).text
    assert client.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert by_code(other, "show", typed).status_code == 404
    assert "set-cookie" not in by_code(other, "show", typed).headers


def test_erasing_the_own_records_by_code(client: TestClient) -> None:
    """In the browser that the code is from, erasing by code also takes the number out of the cookie."""
    typed = made(client)
    response = by_code(client, "erase_now", typed)
    assert response.headers.get_list("set-cookie")
    assert client.get("/privacy/state").json()["status"] == "refused"


@pytest.mark.parametrize("do", ["make", "show", "download", "erase", "erase_now"])
def test_codes_are_for_our_own_pages(client: TestClient, do: str) -> None:
    """No other site can make, try or use a code."""
    typed = made(client)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}):
        assert by_code(client, do, typed, headers=headers).status_code == 403
    assert by_code(client, "show", typed).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"), [({"do": "shout"}, 400), ({"do": ["show", "erase"]}, 400), ({"code": ["a", "b"]}, 400)]
)
def test_odd_forms_are_refused(client: TestClient, fields: dict[str, Any], status: int) -> None:
    """What no form of ours sends is answered with a page that says so."""
    assert client.post("/privacy/receipt/code", data=fields).status_code == status


# -- erasing


def test_erasing(client: TestClient, site: Site, make_client: MakeClient) -> None:
    """Erasing withdraws first: the old cookie is no choice, no record is the visitor's, and the page says so."""
    thief = make_client(site)
    thief.cookies.update(dict(client.cookies))
    response = client.post("/privacy/erase")
    assert (response.status_code, response.headers["location"]) == (303, "/privacy/receipt?said=erased")
    assert "Withdrawn and erased" in client.get(response.headers["location"]).text
    assert client.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert thief.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert thief.get("/privacy/receipt.json").json()["dpv:hasRecordOfActivity"] == []
    assert client.post("/privacy/erase", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_nobody_is_told_of_an_erasure_that_was_none(client: TestClient) -> None:
    """An address that claims an erasure says nothing to somebody whose records are there."""
    assert "Withdrawn and erased" not in client.get("/privacy/receipt?said=erased").text
    assert "receipt.x" not in client.get("/privacy/receipt?said=x").text


def test_an_erasure_that_waits_is_said_to_wait(client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the ledger is down erasing withdraws at once, and the page says what was done and what is still to come."""
    monkeypatch.setattr(site.ledger, "erase", lambda *arguments, **named: None)
    response = client.post("/privacy/erase")
    assert (response.status_code, response.headers["location"]) == (303, "/privacy/receipt?said=erasing")
    page = client.get(response.headers["location"])
    assert "Withdrawn: nothing that needs your yes is loaded any more." in page.text
    assert "as soon as they can be" in page.text
    assert client.get("/privacy/state").json()["status"] == "refused"


def test_an_erasure_by_code_that_waits_is_said_to_wait(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    """The same holds for an erasure by code."""
    typed = made(client)
    monkeypatch.setattr(site.ledger, "erase", lambda *arguments, **named: None)
    assert "as soon as they can be" in by_code(client, "erase_now", typed).text
