"""Test that every code of `consent check` finds what it is for."""

from __future__ import annotations

import json
import sqlite3

import pytest

from consent.cli.findings.finding import CODES, Severity
from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.database import migrations
from consent.settings import ConsentSettings
from consent.site import Site
from tests.cli.place import ORIGIN, SECRET, SERVICE, TOKEN, Change, Place, found, garbage, services

ERROR, WARNING, INFO = Severity


def foreign_ledger(place: Place) -> None:
    """Put an SQLite file of another program where the ledger should be."""
    with sqlite3.connect(place.folder / "consent.db") as connection:
        connection.execute("CREATE TABLE cake (layers)")
    connection.close()
    (place.folder / "consent.db").chmod(0o600)


def other_origin(place: Place) -> None:
    """Begin the ledger under another origin, and lose its key."""
    place.publish()
    place.remove("consent.db.key")
    place.set(origins=["https://other.example"])


def old_ledger(place: Place) -> None:
    """Let the ledger look as before its newest migration."""
    with sqlite3.connect(place.folder / "consent.db") as connection:
        connection.execute(f"PRAGMA user_version={len(migrations()) - 1}")
    connection.close()


def published_then(change: Change) -> Change:
    """Return a change that comes after the first start."""

    def both(place: Place) -> None:
        place.publish()
        change(place)

    return both


def ahead(place: Place) -> None:
    """Leave a checkpoint outside the ledger that the ledger does not reach, as a restored backup does."""
    signer = Signer.from_text((place.folder / "consent.db.key").read_text())
    note = Checkpoint.signed(signer, size=9, root=b"r" * 32).note
    (place.folder / "consent.db.checkpoint").write_bytes(note)


def mode(path: str, bits: int) -> Change:
    """Return a change of a file's mode."""
    return lambda place: (place.folder / path).chmod(bits)


def reported(*hosts: str, **values: object) -> Change:
    """Return a change after which browsers have reported these hosts, each once as an image and once as a script."""

    def change(place: Place) -> None:
        place.set(**({"csp": "report-only"} | values))
        site = Site(ConsentSettings.from_toml(place.config))
        site.start()
        site.reports.violations([(name, host) for host in hosts for name in ("img-src", "script-src-elem")])
        site.close()

    return change


def template(name: str, content: str | bytes) -> Change:
    """Return a change that gives the site a template of its own."""

    def change(place: Place) -> None:
        folder = place.folder / "own"
        folder.mkdir()
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        place.set(templates_dir="own")

    return change


def label(key: str, text: str) -> Change:
    """Return a change that gives a button words of the site's own."""
    return lambda place: place.set(wording={"en": {key: text}})


def banner(yes: str, no: str) -> Change:
    """Return a change that gives the site a first layer of its own, with these two answers."""
    return template("consent_banner.html", f"<form>{yes}{no}</form>")


YES = '<button class="cst-button" name="choice" value="accept_all">Yes</button>'
NO = '<button class="cst-button" name="choice" value="reject_all">No</button>'
OFF = (YES.replace(" class", " disabled class"), NO.replace(" class", " disabled class"))
QUIET = NO.replace("cst-button", "cst-plain")


CASES: list[tuple[str, Severity, str, str, Change]] = [
    ("C001", ERROR, "colour", "unknown setting", lambda p: p.set(colour="red")),
    ("C001", ERROR, "consent.toml", "cannot be read", garbage("consent.toml")),
    ("C001", ERROR, "origins", "is not an origin", lambda p: p.set(origins=["meridian.example"])),
    (
        "C001",
        ERROR,
        ".env",
        "CONSENT_SECRET_KEYS is not JSON",
        lambda p: (p.folder / ".env").write_text("CONSENT_SECRET_KEYS=x\n"),
    ),
    ("C010", ERROR, "CONSENT_SECRET_KEYS", "no secret", lambda p: p.variable("CONSENT_SECRET_KEYS", None)),
    ("C010", ERROR, "CONSENT_SECRET_KEYS", "an empty", lambda p: p.variable("CONSENT_SECRET_KEYS", ["", SECRET])),
    ("C011", ERROR, "key 2", "30 characters", lambda p: p.variable("CONSENT_SECRET_KEYS", [SECRET, SECRET[:30]])),
    ("C012", ERROR, "key 1", "filler", lambda p: p.variable("CONSENT_SECRET_KEYS", ["change-me-" + SECRET])),
    ("C012", ERROR, "key 1", "filler", lambda p: p.variable("CONSENT_SECRET_KEYS", ["0123" * 10])),
    ("C012", ERROR, "key 1", "README.md", lambda p: (p.folder / "README.md").write_text(f"Use {SECRET}.")),
    ("C012", ERROR, "token 1", ".env.example", lambda p: (p.folder / ".env.example").write_text(f"T={TOKEN}")),
    ("C013", WARNING, "consent.toml, secret_keys", "copied", lambda p: p.set(secret_keys=[SECRET])),
    ("C014", ERROR, "token 1", "20 characters", lambda p: p.variable("CONSENT_AUDIT_TOKENS", [TOKEN[:20]])),
    ("C015", WARNING, "token 2", "token 1", lambda p: p.variable("CONSENT_AUDIT_TOKENS", [TOKEN, TOKEN])),
    ("C016", INFO, "CONSENT_AUDIT_TOKENS", "off", lambda p: p.variable("CONSENT_AUDIT_TOKENS", None)),
    ("C100", ERROR, "origins", "where it lives", lambda p: p.set(origins=None)),
    ("C101", ERROR, "http://m.example", "no Secure cookie", lambda p: p.set(origins=["http://m.example"])),
    (
        "C101",
        ERROR,
        "http://m.example",
        "readable",
        lambda p: p.set(origins=["http://m.example"], insecure_cookies=True),
    ),
    (
        "C102",
        INFO,
        "http://a.localhost",
        "local",
        lambda p: p.set(origins=["http://a.localhost", "http://127.0.0.1:80"]),
    ),
    ("C103", ERROR, "insecure_cookies", ORIGIN, lambda p: p.set(insecure_cookies=True)),
    ("C104", ERROR, "cookie_domain", ORIGIN, lambda p: p.set(cookie_domain="ridian.example")),
    ("C105", WARNING, "country_header", "nothing depends", lambda p: p.set(country_header="X-Country")),
    ("C106", WARNING, "regimes", "asked first", lambda p: p.set(regimes={"US": "opt-out"})),
    ("C107", WARNING, "validity", "long", lambda p: p.set(validity="P398D")),
    ("C107", WARNING, "validity", "short", lambda p: p.set(validity="P27D")),
    ("C108", WARNING, "undeclared", "before anybody", lambda p: p.set(undeclared="allow")),
    ("C109", WARNING, "controller", "no name and no contact", lambda p: p.set(controller={"address": "1 Quay"})),
    ("C120", WARNING, "csp", "'report'", lambda p: p.set(csp="enforce", undeclared="report")),
    ("C121", INFO, "csp", "meridian.example", lambda p: p.set(csp="report-only")),
    ("C122", WARNING, "x.example", "no service declares it (2 reports since 20", reported("x.example", "y.example")),
    ("C122", WARNING, "www.youtube.com", "Built in are [services.youtube]", reported("www.youtube.com")),
    ("C123", WARNING, "reader-stats", "nothing denies it (2 reports", reported("stats.meridian.example")),
    ("C123", WARNING, "reader-stats", "was denied", reported("stats.meridian.example", csp="enforce")),
    ("C124", WARNING, "static.meridian.example", "does not name it", reported("static.meridian.example")),
    (
        "C130",
        WARNING,
        "regimes",
        "US: a page",
        lambda p: p.set(cache="shared", regimes={"GB": "opt-in", "US": "opt-out"}),
    ),
    (
        "C131",
        WARNING,
        "services, reader-stats",
        "never starts",
        lambda p: p.set(cache="shared", services={"reader-stats": {**SERVICE, "revive": "reload"}}),
    ),
    ("C200", ERROR, "services.x", "nothing is said", lambda p: p.service("x")),
    ("C200", ERROR, "services.reader-stats", "'fun' does not exist", lambda p: p.service(purpose="fun")),
    ("C200", ERROR, "purposes.Fun", "is not a key", lambda p: p.set(purposes={"Fun": {}})),
    ("C200", ERROR, "purposes.fun", "unknown field", lambda p: p.set(purposes={"fun": {"colour": "red"}})),
    ("C201", ERROR, "services.zoo", "'reader-stats'", lambda p: p.service("zoo", **SERVICE)),
    ("C202", WARNING, "services.reader-stats", "no provider, no data", lambda p: p.service(provider=None, data=None)),
    ("C202", WARNING, "services.reader-stats", "no title, no country", lambda p: p.service(title=None, country="")),
    ("C203", INFO, "reader-stats", "no policy_url, no retention", lambda p: p.service(policy_url=None, retention=None)),
    ("C204", WARNING, "reader-stats.title", "in en", lambda p: p.service(title={"uk": "Статистика"})),
    ("C204", WARNING, "analytics.title", "in en", lambda p: p.set(purposes={"analytics": {"title": {"uk": "Облік"}}})),
    ("C205", WARNING, "services.reader-stats.cookies", "'_x'", lambda p: p.service(cookies=[{"name": "_x"}])),
    ("C206", ERROR, "services.reader-stats", "why it must", lambda p: p.service(purpose="necessary")),
    ("C207", WARNING, "services.reader-stats", "'statistics'", lambda p: p.service(exemption="statistics")),
    (
        "C208",
        ERROR,
        "services.reader-stats",
        "'_ga'",
        lambda p: p.service(purpose="necessary", justification="We like it", cookies=[{"name": "_ga"}]),
    ),
    (
        "C208",
        ERROR,
        "services.chartbeat",
        "analytics",
        lambda p: p.service("chartbeat", purpose="necessary", justification="We like it", cookies=[]),
    ),
    ("C209", WARNING, "reader-stats.hosts", "[services.youtube]", lambda p: p.service(hosts=["www.youtube.com"])),
    ("C209", WARNING, "reader-stats.hosts", "[services.google-maps]", lambda p: p.service(hosts=["google.com"])),
    ("C210", WARNING, "services", "100 services", lambda p: p.set(services=services(100))),
    ("C211", ERROR, "services", "1400 services", lambda p: p.set(services=services(1400))),
    ("C212", INFO, "services", "nothing", lambda p: p.set(services=None)),
    ("C213", WARNING, "purposes.fun", "no title", lambda p: p.set(purposes={"fun": {"description": "Games"}})),
    ("C300", WARNING, "policies_dir", "'nowhere'", lambda p: p.set(policies_dir="nowhere")),
    ("C301", WARNING, "policies/privacy", "no privacy policy", lambda p: p.remove("policies/privacy/1.en.md")),
    (
        "C302",
        WARNING,
        "policies/cookies",
        "before 9999-01-01",
        lambda p: p.policy("cookies/1.en.md", effective="9999-01-01"),
    ),
    ("C303", ERROR, "policies/privacy/1.en.md", "UTF-8", garbage("policies/privacy/1.en.md")),
    (
        "C303",
        ERROR,
        "policies/privacy/2.en.md",
        "not a file",
        lambda p: (p.folder / "policies/privacy/2.en.md").mkdir(),
    ),
    (
        "C304",
        ERROR,
        "policies/privacy/1.en.md:9",
        "'how long'",
        lambda p: p.policy("privacy/1.en.md", "a\n\n[[how long]]"),
    ),
    (
        "C304",
        ERROR,
        "policies/privacy/1.en.md:7",
        "'controller.dpo' is empty, which leaves a gap in the text here and in line 9",
        lambda p: p.policy("privacy/1.en.md", "{{ controller.dpo }}\n\n{{ controller.dpo }}"),
    ),
    ("C305", WARNING, "policies/privacy/1.uk.md", "'uk'", lambda p: p.set(languages=["uk"])),
    (
        "C306",
        ERROR,
        "policies/privacy/1.en.md",
        "was published with SHA-256",
        published_then(lambda p: p.policy("privacy/1.en.md", "Another text.\n")),
    ),
    (
        "C307",
        INFO,
        "policies/privacy/1.en.md",
        "copy in the ledger",
        published_then(lambda p: p.remove("policies/privacy/1.en.md")),
    ),
    ("C400", ERROR, "ledger", "'mysql'", lambda p: p.set(ledger="mysql:///x")),
    ("C401", ERROR, "nowhere/consent.db", "folder", lambda p: p.set(ledger="sqlite:///nowhere/consent.db")),
    ("C401", ERROR, "consent.db", "is not a file", lambda p: (p.folder / "consent.db").mkdir(0o700)),
    ("C401", ERROR, "consent.db", "not a database", garbage("consent.db")),
    ("C402", ERROR, "consent.db", "https://other.example", other_origin),
    ("C402", ERROR, "consent.db", "not a ledger", foreign_ledger),
    ("C403", ERROR, "consent.db.key", "not a text", garbage("consent.db.key")),
    (
        "C403",
        ERROR,
        "consent.db.key",
        "not a signing key",
        published_then(lambda p: (p.folder / "consent.db.key").write_text("x")),
    ),
    ("C403", ERROR, "CONSENT_LEDGER_KEY", "not a signing key", lambda p: p.set(ledger_key="x")),
    (
        "C403",
        ERROR,
        "CONSENT_LEDGER_KEY",
        "'other.example'",
        lambda p: p.set(ledger_key=Signer.generate("other.example").to_text()),
    ),
    (
        "C403",
        ERROR,
        "CONSENT_LEDGER_KEY",
        "no folder to keep its key in",
        lambda p: p.set(ledger="postgresql://web@/ledger?host=/nowhere"),
    ),
    (
        "C401",
        ERROR,
        "ledger",
        "/nowhere",
        lambda p: p.set(ledger="postgresql://web@/ledger?host=/nowhere"),
    ),
    ("C404", WARNING, "consent.db.key", "gone", published_then(lambda p: p.remove("consent.db.key"))),
    ("C405", ERROR, ".env", "everybody", mode(".env", 0o604)),
    ("C405", WARNING, ".env", "its group", mode(".env", 0o640)),
    ("C405", ERROR, "consent.db.key", "everybody", published_then(mode("consent.db.key", 0o644))),
    ("C405", ERROR, "consent.db", "everybody", published_then(mode("consent.db", 0o644))),
    ("C406", ERROR, "queue_dir", "'consent-queue'", lambda p: (p.folder / "consent-queue").write_text("")),
    ("C406", ERROR, "queue_dir", "consent.toml/queue", lambda p: p.set(queue_dir="consent.toml/queue")),
    ("C407", ERROR, "consent.db", "does not extend the checkpoint of 9 entries", published_then(ahead)),
    (
        "C408",
        WARNING,
        "retention.opt-out",
        "'P23M'",
        lambda p: p.set(retention={"opt-out": "P23M"}, regimes={"US": "opt-out"}, country_header="X-C"),
    ),
    ("C410", WARNING, "consent.db", "1 migration is pending", published_then(old_ledger)),
    ("C500", ERROR, "languages", "'tlh'", lambda p: p.set(languages=["tlh"])),
    (
        "C501",
        ERROR,
        "wording.en.banner.titel",
        "no text of this key",
        lambda p: p.set(wording={"en": {"banner.titel": "A"}}),
    ),
    ("C502", WARNING, "wording.en.banner.ask", "{n}", lambda p: p.set(wording={"en": {"banner.ask": "May we?"}})),
    (
        "C503",
        ERROR,
        "wording.en.banner.title",
        "{name}",
        lambda p: p.set(wording={"en": {"banner.title": "{site}{name}"}}),
    ),
    ("C503", ERROR, "wording.en.banner.title", "braces", lambda p: p.set(wording={"en": {"banner.title": "{site"}})),
    ("C504", WARNING, "wording.uk", "this language", lambda p: p.set(wording={"uk": {"banner.accept_all": "Так"}})),
    ("C505", ERROR, "templates_dir", "'nowhere'", lambda p: p.set(templates_dir="nowhere")),
    ("C506", ERROR, "own/consent_banner.html, line 2", "endif", template("consent_banner.html", "\n{% if x %}")),
    ("C506", ERROR, "own/consent_banner.html, line 1", "'shout'", template("consent_banner.html", "{{ x|shout }}")),
    ("C506", ERROR, "own/consent_baner.html", "no template", template("consent_baner.html", "")),
    ("C506", ERROR, "own/consent_banner.html", "UTF-8", template("consent_banner.html", b"\xff")),
    ("C507", WARNING, "languages", "nobody who speaks 'uk'", lambda p: p.set(languages=["uk"])),
    ("C510", ERROR, "theme.ink", "reach a contrast of 3.54:1", lambda p: p.set(theme={"ink": "#888"})),
    ("C510", ERROR, "theme.dark.on_accent", "text of", lambda p: p.set(theme={"dark": {"accent": "#246"}})),
    ("C510", ERROR, "theme.line", "on paper", lambda p: p.set(theme={"line": "hsl(0 0% 80%)"})),
    ("C511", ERROR, "wording.en.banner.reject_all", "without words", label("banner.reject_all", " … ")),
    ("C511", ERROR, "wording.en.choices.reject_all", "both answers read", label("choices.reject_all", "Accept all")),
    ("C511", ERROR, "wording.en.banner.reject_all", "3 times as long", label("banner.reject_all", "Go on " * 8)),
    ("C512", ERROR, "own/consent_banner.html", "their attributes", banner(YES, QUIET)),
    ("C512", ERROR, "own/consent_banner.html", "send 'reject_all'", banner(NO, YES)),
    ("C512", ERROR, "own/consent_banner.html", "has 1 button", banner(YES, "")),
    ("C512", ERROR, "own/consent_banner.html", "in their place", banner(YES, f"<small>{NO}</small>")),
    ("C512", ERROR, "own/consent_banner.html", "in their element", banner(YES, NO.replace("button ", "input "))),
    ("C512", ERROR, "own/consent_banner.html", "has no words", banner(YES, NO.replace(">No", "> "))),
    ("C512", ERROR, "own/consent_banner.html", "are disabled", banner(*OFF)),
    ("C506", ERROR, "own/consent_banner.html", "cannot be rendered", template("consent_banner.html", "{{ nothing }}")),
    ("C507", WARNING, "default_language", "nobody who speaks 'uk'", lambda p: p.set(default_language="uk")),
]
ENVIRONMENT_CODES = {"C002", "C003"}
SERVER_CODES = {"C409"}
"""What it takes a PostgreSQL server to find; see the tests of the ledger's commands."""
AT_START = {"C001", "C010", "C200", "C201", "C400", "C403", "C500", "C506"}
"""Errors with which the site does not start."""


@pytest.mark.parametrize(
    ("code", "severity", "where", "what", "change"), CASES, ids=[f"{one[0]}-{n}" for n, one in enumerate(CASES)]
)
def test_every_code_finds_what_it_is_for(
    code: str,
    severity: Severity,
    where: str,
    what: str,
    change: Change,
    place: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One change to a good site gives the finding, with its place and what is wrong, and never shows a secret."""
    change(place)
    findings = found(place, capsys)
    fitting = [one for one in findings if one["code"] == code and where in one["place"] and what in one["what"]]
    assert len(fitting) == 1, findings
    assert fitting[0]["severity"] == severity
    assert fitting[0]["remedy"]
    assert not any(secret[:20] in json.dumps(findings) for secret in (SECRET, TOKEN))
    if code in AT_START and severity is ERROR:
        with pytest.raises((ConfigurationError, UnicodeDecodeError)):
            place.start()
    elif not any(one["severity"] == "error" for one in findings):
        place.start()


def test_every_code_has_a_case() -> None:
    """No code is listed that nothing finds, and none is found that is not listed."""
    assert {one[0] for one in CASES} | ENVIRONMENT_CODES | SERVER_CODES == set(CODES)
