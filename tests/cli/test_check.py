"""Test `consent check`: that a good site has no findings, and that every code finds what it is for."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.catalogue import Service
from consent.choice.wording import ENGLISH
from consent.cli.findings import catalogue, texts
from consent.cli.findings.finding import CODES, Severity
from consent.cli.findings.site import is_local
from consent.cli.main import main
from consent.declared import catalogue_of, known_services
from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Signer, note_name
from consent.settings import ConsentSettings
from consent.site import Site, ledger_from

ORIGIN = "https://meridian.example"
SECRET = "wgT3kq-0ZrXv8HnJd5LbYc2MfPs9AeUi"  # noqa: S105 - made up for these tests
TOKEN = "Qm7vRz_1TyKx4WbNc8HdLf3JgSp6EoUa"  # noqa: S105 - made up for these tests
SERVICE: Mapping[str, Any] = {
    "title": "Reader statistics",
    "description": "Counts which articles are read.",
    "provider": "Meridian Media Ltd",
    "purpose": "analytics",
    "country": "IE",
    "hosts": ["stats.meridian.example"],
    "cookies": [{"name": "_rs", "lifetime": "P30D"}],
    "data": ["pages read"],
    "retention": "P13M",
    "policy_url": "https://meridian.example/stats",
}


class Place:
    """Build the folder of a site, change what is in it, and check it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {
            "site_name": "The Meridian",
            "origins": [ORIGIN],
            "undeclared": "hold",
            "controller": {
                "name": "Meridian Media Ltd",
                "address": "1 Quay Street, Dublin",
                "contact": "privacy@meridian.example",
            },
            "services": {"reader-stats": dict(SERVICE)},
        }
        self.variables: dict[str, Any] = {"CONSENT_SECRET_KEYS": [SECRET], "CONSENT_AUDIT_TOKENS": [TOKEN]}
        for slug in ("privacy", "cookies"):
            self.policy(f"{slug}/1.en.md")
        self.write()

    @property
    def config(self) -> Path:
        return self.folder / "consent.toml"

    def write(self) -> None:
        """Write the configuration and the secrets as they are now."""
        tables = {key: value for key, value in self.settings.items() if isinstance(value, dict)}
        lines = [f"{key} = {toml(value)}" for key, value in (self.settings | tables).items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        environment = self.folder / ".env"
        environment.write_text("".join(f"{name}='{json.dumps(value)}'\n" for name, value in self.variables.items()))
        environment.chmod(0o600)

    def set(self, **settings: Any) -> None:
        """Change settings; None removes one."""
        self.settings |= settings
        self.settings = {key: value for key, value in self.settings.items() if value is not None}
        self.write()

    def service(self, key: str = "reader-stats", **fields: Any) -> None:
        """Change the fields of a service, or add one; None removes a field."""
        service = self.settings["services"].get(key, {}) | fields
        self.settings["services"][key] = {name: value for name, value in service.items() if value is not None}
        self.write()

    def variable(self, name: str, value: Any) -> None:
        """Change one line of the secrets; None removes it."""
        self.variables = {key: one for key, one in (self.variables | {name: value}).items() if one is not None}
        self.write()

    def policy(self, place: str, body: str = "Text.\n", *, effective: str = "2026-03-01") -> None:
        """Write a policy."""
        path = self.folder / "policies" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'+++\ntitle = "T"\neffective = {effective}\nmaterial = true\nsummary = "S"\n+++\n{body}')

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink()

    def publish(self) -> None:
        """Start the site once, which makes the ledger and its key, and publishes the policies."""
        site = Site(ConsentSettings.from_toml(self.config))
        site.start()
        site.ledger.seal()
        site.close()

    def start(self) -> None:
        """Build the site, as its server would; raise ConfigurationError where that cannot be."""
        Site(ConsentSettings.from_toml(self.config)).close()


def toml(value: Any) -> str:
    """Return a value as TOML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a site without a fault, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith("CONSENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    return Place(tmp_path / "site")


def found(place: Place, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Check a site and return the findings; see that the exit status fits them."""
    capsys.readouterr()
    status = main(["check", "--config", str(place.config), "--json"])
    answer = json.loads(capsys.readouterr().out)
    findings: list[dict[str, str]] = answer["findings"]
    assert status == (1 if answer["errors"] else 0)
    assert answer["errors"] == sum(one["severity"] == "error" for one in findings)
    return findings


def test_a_good_site_has_no_findings(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A complete site passes, before its first start and after it."""
    assert found(place, capsys) == []
    place.publish()
    assert found(place, capsys) == []
    assert main(["check", "--config", str(place.config)]) == 0
    assert capsys.readouterr().out == "Nothing to find fault with.\n"


def test_checking_makes_and_changes_nothing(place: Place) -> None:
    """A check leaves no ledger, no key and no queue behind."""
    before = sorted(place.folder.rglob("*"))
    main(["check", "--config", str(place.config)])
    assert sorted(place.folder.rglob("*")) == before


Change = Callable[[Place], object]
ERROR, WARNING, INFO = Severity


def services(count: int) -> dict[str, Any]:
    """Return this many services."""
    return {f"service-{n}": {**SERVICE, "hosts": [f"s{n}.example.org"], "cookies": []} for n in range(count)}


def garbage(path: str) -> Change:
    """Return a change that puts a file there which is nothing in particular."""
    return lambda place: (place.folder / path).write_bytes(b"\xff\xfe nothing in particular " * 99)


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


def published_then(change: Change) -> Change:
    """Return a change that comes after the first start."""

    def both(place: Place) -> None:
        place.publish()
        change(place)

    return both


def mode(path: str, bits: int) -> Change:
    """Return a change of a file's mode."""
    return lambda place: (place.folder / path).chmod(bits)


CASES: list[tuple[str, Severity, str, str, Change]] = [
    ("C001", ERROR, "colour", "unknown setting", lambda p: p.set(colour="red")),
    ("C001", ERROR, "consent.toml", "cannot be read", garbage("consent.toml")),
    ("C001", ERROR, "origins", "is not an origin", lambda p: p.set(origins=["meridian.example"])),
    ("C001", ERROR, "environment", "secret_keys", lambda p: (p.folder / ".env").write_text("CONSENT_SECRET_KEYS=x\n")),
    ("C010", ERROR, "CONSENT_SECRET_KEYS", "no secret", lambda p: p.variable("CONSENT_SECRET_KEYS", None)),
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
    ("C107", WARNING, "validity", "long", lambda p: p.set(validity="P14M")),
    ("C107", WARNING, "validity", "short", lambda p: p.set(validity="P27D")),
    ("C108", WARNING, "undeclared", "before anybody", lambda p: p.set(undeclared="allow")),
    ("C109", WARNING, "controller", "no name and no contact", lambda p: p.set(controller={"address": "1 Quay"})),
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
    ("C209", WARNING, "reader-stats.hosts", "'youtube'", lambda p: p.service(hosts=["www.youtube.com"])),
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
    ("C400", ERROR, "ledger", "'mysql:///x'", lambda p: p.set(ledger="mysql:///x")),
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
    ("C404", WARNING, "consent.db.key", "gone", published_then(lambda p: p.remove("consent.db.key"))),
    ("C405", ERROR, ".env", "everybody", mode(".env", 0o604)),
    ("C405", WARNING, ".env", "its group", mode(".env", 0o640)),
    ("C405", ERROR, "consent.db.key", "everybody", published_then(mode("consent.db.key", 0o644))),
    ("C405", ERROR, "consent.db", "everybody", published_then(mode("consent.db", 0o644))),
    ("C406", ERROR, "queue_dir", "'consent-queue'", lambda p: (p.folder / "consent-queue").write_text("")),
    ("C406", ERROR, "queue_dir", "consent.toml/queue", lambda p: p.set(queue_dir="consent.toml/queue")),
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
]
ENVIRONMENT_CODES = {"C002", "C003"}
AT_START = {"C001", "C010", "C200", "C201", "C400", "C403", "C500"}
"""Errors with which the site does not even get built."""


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
    assert {one[0] for one in CASES} | ENVIRONMENT_CODES == set(CODES)


def test_an_unknown_variable_is_found(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt variable, which would otherwise do nothing in silence, is named; its value is not shown."""
    monkeypatch.setenv("CONSENT_SECRET_KEY", SECRET)
    findings = found(place, capsys)
    assert [(one["code"], one["severity"], one["place"]) for one in findings] == [
        ("C002", "warning", "CONSENT_SECRET_KEY")
    ]
    assert SECRET not in json.dumps(findings)


def test_a_missing_configuration_is_noted(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file the environment alone is checked, and the folder that was looked into is named."""
    assert main(["check"]) == 1
    assert f"C003 info {Path.cwd() / 'consent.toml'}: " in capsys.readouterr().out
    monkeypatch.chdir(place.folder)
    assert main(["check"]) == 0
    monkeypatch.chdir(place.folder.parent)
    monkeypatch.setenv("CONSENT_CONFIG", "site/consent.toml")
    assert main(["check"]) == 0
    assert "C003" not in capsys.readouterr().out


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_configuration_that_is_named_must_exist(
    how: str, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that leads nowhere is an error, in the option as in the variable."""
    if how == "variable":
        monkeypatch.setenv("CONSENT_CONFIG", "nowhere.toml")
    assert main(["check", *(["--config", "nowhere.toml"] if how == "option" else [])]) == 1
    assert capsys.readouterr().out.startswith("C001 error nowhere.toml: no such file. ")


def test_everything_is_found_in_one_run(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """One mistake hides no other: each of two services, two policies and the rest is named, errors first."""
    place.service("x")
    place.service("y", colour="red")
    place.service("zoo", **SERVICE)
    garbage("policies/privacy/1.en.md")(place)
    garbage("policies/cookies/1.en.md")(place)
    place.policy("terms/1.en.md", "[[write this]]")
    place.set(languages=["tlh"], ledger="mysql:///x", undeclared="allow")
    findings = found(place, capsys)
    errors = [one["code"] for one in findings if one["severity"] == "error"]
    assert errors == ["C200", "C200", "C201", "C303", "C303", "C304", "C400", "C500"]
    ranks = [list(Severity).index(Severity(one["severity"])) for one in findings]
    assert ranks == sorted(ranks)
    assert "C108" in {one["code"] for one in findings}


def test_a_policy_that_contradicts_another_is_found(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Two languages of one version with different days are an error, once."""
    place.set(languages=["uk"])
    place.policy("privacy/1.uk.md", effective="2026-04-01")
    place.policy("cookies/1.uk.md")
    assert [one["what"] for one in found(place, capsys) if one["code"] == "C303"] == [
        "effective differs from privacy/1.en.md"
    ]


def test_an_edited_policy_is_told_with_both_digests(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What was published and what lies there now are both named."""
    before = ConsentSettings.from_toml(place.config)
    digest = Site(before).library.documents[1].sha256
    place.publish()
    place.policy("privacy/1.en.md", "Another text.\n")
    now = Site(before).library.documents[1].sha256
    (finding,) = found(place, capsys)
    assert finding["code"] == "C306"
    assert digest in finding["what"]
    assert now in finding["what"]


def test_a_running_site_can_be_checked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The check reads the ledger while a site has it open, and the site goes on recording."""
    settings = ConsentSettings.from_toml(place.config)
    ledger = ledger_from(settings)
    ledger.start()
    try:
        assert [one["code"] for one in found(place, capsys)] == []
        ledger.seal()
    finally:
        ledger.close()


def test_the_right_key_is_no_finding(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger key in the environment that signs for this origin is in order, and none is needed beside the ledger."""
    place.publish()
    place.remove("consent.db.key")
    place.variable("CONSENT_LEDGER_KEY", "")
    (place.folder / ".env").write_text(
        (place.folder / ".env").read_text().replace("'\"\"'", f"'{Signer.generate(note_name(ORIGIN)).to_text()}'")
    )
    assert found(place, capsys) == []


def test_statistics_may_be_exempt(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the law exempts audience measurement, and the site says why, a known name is no finding."""
    place.service(
        purpose="necessary",
        exemption="statistics",
        justification="Counts visits for us alone, as the authority's guideline allows",
        cookies=[{"name": "_pk_id*", "lifetime": "P13M"}],
    )
    assert found(place, capsys) == []


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_what_is_local(host: str, local: bool) -> None:
    """Loopback names and addresses are the machine itself; a private network is not."""
    assert is_local(host) is local


@pytest.mark.parametrize("key", known_services())
def test_a_built_in_service_needs_nothing_but_its_key(key: str) -> None:
    """Switching one on leaves at most what only the site can know: how long its provider keeps the data."""
    settings = ConsentSettings(origins=(ORIGIN,), languages=("en", "uk"), services={key: {}})
    assert [(one.code, one.severity) for one in catalogue.find(settings)] == [("C203", Severity.INFO)]


NAMES = st.sampled_from([*Service.__dataclass_fields__, "colour"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["necessary", "P1M", "_ga*", "a.b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "lifetime", "en", "uk", "title"]), inner, max_size=3)
    ),
    max_leaves=6,
)
TABLES = st.dictionaries(
    st.sampled_from(["youtube", "own", "consent", "Own", "analytics"]),
    st.dictionaries(NAMES, VALUES, max_size=5),
    max_size=3,
)


@given(services=TABLES, purposes=TABLES)
def test_no_catalogue_breaks_the_check(services: dict[str, Any], purposes: dict[str, Any]) -> None:
    """Whatever the tables hold, the check ends with findings; without errors, the catalogue can be built."""
    settings = ConsentSettings(origins=(ORIGIN,), services=services, purposes=purposes)
    findings = list(catalogue.find(settings))
    assert all("\n" not in str(finding) for finding in findings)
    refused = {"C200", "C201"} & {finding.code for finding in findings}
    try:
        catalogue_of(settings, cookies=())
    except ConfigurationError:
        assert refused
    else:
        assert not refused


@given(
    key=st.sampled_from([key for key, text in ENGLISH.items() if isinstance(text, str)]),
    text=st.text("{}!:.[]abn0 ") | st.text(),
)
def test_a_text_without_findings_can_be_shown(key: str, text: str) -> None:
    """A text of the site's own that the check does not refuse can be filled in with what its page gives."""
    english = ENGLISH[key]
    assert isinstance(english, str)
    refused = {finding.code for finding in texts._text("place", key, text)}
    if "C503" not in refused:
        fields = dict.fromkeys(texts._fields(english), "x")
        assert isinstance(text.format_map(fields), str)
