"""Judge visits without a browser: whose is what, what leaks, what the reports say, what is proposed."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from consent.choice.catalogue import Catalogue, service_from_table
from consent.choice.regimes import Regime
from consent.cli import scan as command
from consent.cli.main import main
from consent.cli.scanned.leaks import CODES, SEVERITIES, Leak, leaks
from consent.cli.scanned.observed import Asked, Kept, Seen, State, Stored, Visit
from consent.cli.scanned.owners import Owners
from consent.cli.scanned.proposal import proposal
from consent.cli.scanned.report import Scan, as_html, as_object, as_sarif, as_text
from consent.declared import catalogue_of
from consent.settings import ConsentSettings
from tests.cli.place import Place
from tests.test_templates import Markup

PAGE = "https://meridian.example/news"
STATS = Asked(url="https://stats.meridian.example/s.js?a=1", kind="script", initiator="https://meridian.example/own.js")
ADS = Asked(url="https://ads.lantern.example/p.gif", kind="image", initiator="")
ODD = Asked(url="https://<b>.harbour.example/x", kind="fetch", initiator="")
YOUTUBE = Asked(url="https://www.youtube.com/embed/1", kind="frame", initiator=PAGE)
OWN = Asked(url="https://meridian.example/own.js", kind="script", initiator=PAGE)


def cookie(name: str, domain: str = "meridian.example", lifetime: int | None = None) -> Kept:
    """Return a cookie as the browser tells of it."""
    return Kept(name=name, domain=domain, path="/", lifetime=lifetime, http_only=False)


def stored(name: str, origin: str = "https://meridian.example") -> Stored:
    """Return a key in the local storage."""
    return Stored(kind="localStorage", name=name, origin=origin)


@pytest.fixture
def settings(place: Place) -> ConsentSettings:
    """Return the settings of a site with a statistics service of its own and an advertising one."""
    place.service(storage=["rs.queue"])
    place.service("lantern-ads", purpose="marketing", hosts=["ads.lantern.example"], cookies=[])
    place.service(
        "login", purpose="necessary", cookies=[{"name": "sid", "lifetime": "session"}], justification="signs in"
    )
    return ConsentSettings.from_toml(place.config)


@pytest.fixture
def catalogue(settings: ConsentSettings) -> Catalogue:
    """Return the catalogue of these settings."""
    return catalogue_of(settings, cookies=())


def scanned(catalogue: Catalogue, *visits: Visit, regime: Regime = Regime.OPT_IN, failure: str = "") -> Scan:
    """Return the scan of one page with these visits."""
    owners = Owners(catalogue, site_hosts=["meridian.example"], pages=[PAGE])
    seen = (Seen(page=PAGE, visits=visits, failure=failure),)
    found = tuple(leaks(seen, owners, regime=regime))
    return Scan(site="The Meridian", begun=1_795_000_000, regime=regime, seen=seen, leaks=found, owners=owners)


def visit(state: State = State.BEFORE, **values: Any) -> Visit:
    """Return a visit of a page with a banner."""
    return Visit(page=PAGE, state=state, **({"asking": True} | values))


def codes(scan: Scan) -> list[tuple[str, str]]:
    """Return the code and service of every finding."""
    return [(leak.code, leak.service) for leak in scan.leaks]


@pytest.mark.parametrize(
    ("state", "regime", "expected"),
    [
        (State.BEFORE, Regime.OPT_IN, []),
        (State.BEFORE, Regime.OPT_OUT, ["lantern-ads", "reader-stats"]),
        (State.REFUSED, Regime.OPT_OUT, []),
        (State.ACCEPTED, Regime.OPT_IN, ["lantern-ads", "reader-stats"]),
        (State.WITHDRAWN, Regime.OPT_OUT, []),
        (State.GPC, Regime.OPT_OUT, ["reader-stats"]),
        (State.GPC_ACCEPTED, Regime.OPT_IN, ["reader-stats"]),
    ],
)
def test_what_is_allowed_in_a_state(catalogue: Catalogue, state: State, regime: Regime, expected: list[str]) -> None:
    """Besides what is strictly necessary; the signal turns off marketing whatever was answered."""
    owners = Owners(catalogue, site_hosts=["meridian.example"], pages=[PAGE])
    assert sorted(owners.allowed(state, regime) - {"consent", "login"}) == expected
    assert {"consent", "login"} <= owners.allowed(state, regime)


@pytest.mark.parametrize("state", State)
def test_a_quiet_visit_has_no_finding(catalogue: Catalogue, state: State) -> None:
    """The site's own requests and what is strictly necessary are never a leak."""
    scan = scanned(catalogue, visit(), visit(state, asked=(OWN,), cookies=(cookie("sid"),)))
    assert codes(scan) == []
    assert not scan.failed
    assert scan.summary() == "1 page: nothing leaks, and all is declared."


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"asked": (STATS,)}, ("S001", "reader-stats")),
        ({"cookies": (cookie("_rs"),)}, ("S002", "reader-stats")),
        ({"cookies": (cookie("id", "ads.lantern.example"),)}, ("S002", "lantern-ads")),
        ({"cookies": (cookie("id", ".lantern.example"),)}, ("S002", "lantern-ads")),
        ({"stored": (stored("rs.queue"),)}, ("S003", "reader-stats")),
        ({"stored": (stored("x", "https://ads.lantern.example"),)}, ("S003", "lantern-ads")),
        ({"asked": (ODD,)}, ("S004", "")),
        ({"asked": (YOUTUBE,)}, ("S004", "youtube")),
        ({"cookies": (cookie("_ga"),)}, ("S005", "google-analytics")),
        ({"cookies": (cookie("odd"),)}, ("S005", "")),
        ({"cookies": (cookie("id", "harbour.example"),)}, ("S005", "")),
        ({"stored": (stored("odd"),)}, ("S006", "")),
        ({"stored": (stored("odd", "https://harbour.example"),)}, ("S006", "")),
    ],
    ids=str,
)
def test_what_is_found_after_a_refusal(catalogue: Catalogue, found: dict[str, Any], expected: tuple[str, str]) -> None:
    """Each kind of leak and of undeclared thing has its code, and makes the scan fail."""
    scan = scanned(catalogue, visit(), visit(State.REFUSED, **found))
    assert codes(scan) == [expected]
    assert scan.failed
    assert scan.leaks[0].states == (State.REFUSED,)


def test_what_is_agreed_to_is_no_leak(catalogue: Catalogue) -> None:
    """After accepting, declared services may load and store; with the signal, marketing may not."""
    everything = {"asked": (STATS, ADS), "cookies": (cookie("_rs"),), "stored": (stored("rs.queue"),)}
    assert codes(scanned(catalogue, visit(), visit(State.ACCEPTED, **everything))) == []
    assert codes(scanned(catalogue, visit(), visit(State.GPC_ACCEPTED, **everything))) == [("S001", "lantern-ads")]


def test_what_the_pages_policy_denied_is_no_leak(catalogue: Catalogue) -> None:
    """A request that was never sent is listed, and is no finding."""
    denied = Asked(url=STATS.url, kind="script", initiator="", denied=True)
    scan = scanned(catalogue, visit(asked=(denied,)))
    assert codes(scan) == []
    assert any("denied by the page's own policy" in line for line in as_text(scan))


def test_cookies_that_a_withdrawal_cannot_delete(catalogue: Catalogue) -> None:
    """Those of other domains from before are noted; those of the site, and new ones, are leaks."""
    theirs, ours = cookie("id", "ads.lantern.example"), cookie("_rs")
    left = visit(State.WITHDRAWN, cookies=(theirs, ours), left=(theirs, ours))
    assert codes(scanned(catalogue, visit(), left)) == [("S002", "reader-stats"), ("S010", "lantern-ads")]
    new = visit(State.WITHDRAWN, cookies=(theirs,))
    assert codes(scanned(catalogue, visit(), new)) == [("S002", "lantern-ads")]


def test_a_page_that_fails_or_asks_nothing(catalogue: Catalogue) -> None:
    """A page that is down fails the scan; one without a banner is only warned of; a lost answer fails."""
    assert codes(scanned(catalogue, failure="answered 500")) == [("S008", "")]
    quiet = scanned(catalogue, visit(asking=False))
    assert codes(quiet) == [("S009", "")]
    assert not quiet.failed
    lost = scanned(catalogue, visit(), visit(State.REFUSED, failure="the banner asks again"))
    assert codes(lost) == [("S007", "")]
    assert lost.failed


def test_one_thing_is_one_finding(catalogue: Catalogue) -> None:
    """The same host in several states is told once, with every state, and the first example."""
    scan = scanned(catalogue, *(visit(state, asked=(STATS, STATS)) for state in (State.GPC, State.BEFORE)))
    (leak,) = scan.leaks
    assert leak.states == (State.BEFORE, State.GPC)
    assert str(leak) == (
        "S001 error stats.meridian.example: belongs to reader-stats, which is not allowed (before a choice, with"
        " Sec-GPC; https://meridian.example/news, asked for by https://meridian.example/own.js). `consent explain`"
        " tells what the gate sees; mark what it cannot see with data-consent."
    )


@pytest.fixture
def full(catalogue: Catalogue) -> Scan:
    """Return a scan with a bit of everything."""
    return scanned(
        catalogue,
        visit(asked=(OWN, STATS, ODD, YOUTUBE), cookies=(cookie("odd", lifetime=86_400 * 30), cookie('q"\\é'))),
        visit(
            State.ACCEPTED,
            asked=(STATS,),
            cookies=(cookie("odd2", lifetime=600), cookie("t", ".tide.example")),
            stored=(stored("<b>key</b>"),),
        ),
    )


def test_the_table_says_who_when_and_how_often(full: Scan) -> None:
    """Every host, cookie and key has a row, and what should not be is marked."""
    lines = [re.split(r"\s{2,}", line) for line in as_text(full)]
    assert ["reader-stats", "stats.meridian.example", "1!", "1"] in lines
    assert ["(the site)", "meridian.example", "1", "-"] in lines
    assert ["(undeclared: unknown)", "cookie odd of meridian.example (30 days)", "1!", "-"] in lines
    assert ["(undeclared: youtube)", "www.youtube.com", "1!", "-"] in lines


def test_the_json_report_is_canonical_and_whole(full: Scan) -> None:
    """It holds every request, cookie and key with its owner, and survives a round trip."""
    answer = json.loads(json.dumps(as_object(full)))
    assert [(one["url"], one["services"], one["declared"]) for one in answer["visits"][0]["requests"]] == [
        (OWN.url, [], True),
        (STATS.url, ["reader-stats"], True),
        (ODD.url, [], False),
        (YOUTUBE.url, ["youtube"], False),
    ]
    assert answer["passed"] is False
    assert {one["code"] for one in answer["findings"]} == {"S001", "S004", "S005", "S006"}


def test_the_html_report_needs_nothing_else_and_escapes(full: Scan) -> None:
    """It is well-formed, loads nothing, runs nothing, and what a site chose never becomes markup."""
    page = Markup(as_html(full, digest="ab" * 32))
    assert not page.all("b")
    assert not page.all("script")
    assert not [one for one in page.elements if one["src"] or one["href"]]
    assert "<b>.harbour.example" in "".join(one.text for one in page.all("code"))


def test_the_sarif_report_points_into_the_configuration(full: Scan, settings: ConsentSettings) -> None:
    """Each result has a rule, a level, a message, a line of the configuration, and a fingerprint of its own."""
    sarif = as_sarif(full, config=settings.file)
    assert sarif["version"] == "2.1.0"
    (run,) = sarif["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CODES)
    assert len(run["results"]) == len(full.leaks)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "site/consent.toml"
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == PAGE
    fingerprints = [result["partialFingerprints"]["consentScan/v1"] for result in run["results"]]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1 for result in run["results"])


def test_sarif_finds_the_table_of_a_service(full: Scan, tmp_path: Path) -> None:
    """A finding about a declared service stands at the line of its table; without a file it stands at the first."""
    config = tmp_path / "consent.toml"
    config.write_text('site_name = "x"\n\n[services.reader-stats]\npurpose = "analytics"\n')
    lines = {
        result["ruleId"]: result["locations"][0]["physicalLocation"]["region"]["startLine"]
        for result in as_sarif(full, config=config)["runs"][0]["results"]
    }
    assert lines["S001"] == 3
    assert lines["S006"] == 1
    assert as_sarif(full, config=tmp_path / "none.toml")["runs"][0]["results"]


def test_the_proposal_can_be_added_as_it_is(full: Scan, catalogue: Catalogue) -> None:
    """Built-in services come by their key, everything else as tables that the catalogue accepts and that cover it."""
    tables = tomllib.loads(proposal(full))["services"]
    assert tables.pop("youtube") == {}
    assert set(tables) == {"own-storage", "tide-example"}
    services = [service_from_table(key, table) for key, table in tables.items()]
    more = Catalogue(purposes=catalogue.purposes, services=(*catalogue.services, *services))
    own = more.service("own-storage")
    assert own is not None
    assert {(one.name, one.lifetime) for one in own.cookies} == {
        ("odd", "P30D"),
        ("odd2", "PT600S"),
        ('q"\\é', "session"),
    }
    assert own.storage == ("<b>key</b>",)


def test_nothing_is_proposed_where_all_is_declared(catalogue: Catalogue) -> None:
    """A site that declares everything gets no draft."""
    assert proposal(scanned(catalogue, visit(asked=(OWN, STATS)))) == ""


def test_every_code_has_a_severity_and_is_documented() -> None:
    """The tables agree with each other and with docs/scan.md."""
    assert set(CODES) == set(SEVERITIES)
    text = (Path(__file__).parents[2] / "docs" / "scan.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| (S\d+) \| (\w+) \|", text, re.MULTILINE))
    assert documented == {code: str(severity) for code, severity in SEVERITIES.items()}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["meridian.example"],
        ["ftp://meridian.example/"],
        ["http://"],
        ["http://["],
        ["http://x:99999/"],
        [PAGE, "--report", "scan.pdf"],
        [PAGE, "--settle", "never"],
        [PAGE, "--settle", "0"],
        [PAGE, "--timeout", "nan"],
        [PAGE, "--pages", "0"],
        [PAGE, "--follow", "-1"],
        [PAGE, "--browser", "nowhere/chromium"],
        [PAGE, "--regime", "none"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What means nothing is refused in one line before any browser is started."""
    assert main(["scan", *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_without_playwright_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra the scan ends with status 1 and names it."""
    monkeypatch.setitem(sys.modules, "playwright", None)
    assert main(["scan", PAGE]) == 1
    assert "asgi-consent[scan]" in capsys.readouterr().err


@pytest.fixture
def _unvisited(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> None:
    """Let a scan see one quiet page without a browser."""
    monkeypatch.setattr(command, "_seen", lambda args, *, prefix: [Seen(page=PAGE, visits=(visit(asked=(OWN,)),))])


@pytest.mark.usefixtures("_unvisited")
def test_a_folder_without_configuration_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no configuration, one line says that nothing is declared, and the scan goes on."""
    assert main(["scan", PAGE]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "none is declared" in captured.err
    assert "nothing leaks" in captured.out


@pytest.mark.usefixtures("_unvisited")
@pytest.mark.parametrize(
    ("words", "told"), [(["--report", "nowhere/x.json"], "cannot write"), (["--store"], "no ledger at")]
)
def test_a_report_that_cannot_be_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """A folder that is not there, and a ledger that is not there, are one line and status 1; no ledger is made."""
    monkeypatch.chdir(place.folder)
    assert main(["scan", PAGE, *words]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert told in captured.err
    assert not list(place.folder.glob("consent.db*"))


@pytest.mark.usefixtures("_unvisited")
def test_all_kinds_of_report_are_written(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One scan writes as many reports as are asked for, and archives the very bytes of its JSON report."""
    place.publish()
    monkeypatch.chdir(place.folder)
    words = [word for kind in ("html", "json", "sarif") for word in ("--report", f"scan.{kind}")]
    assert main(["scan", PAGE, *words, "--store"]) == 0
    data = Path("scan.json").read_bytes()
    assert f"as {hashlib.sha256(data).hexdigest()}." in capsys.readouterr().out
    assert hashlib.sha256(data).hexdigest() in Path("scan.html").read_text(encoding="utf-8")
    assert json.loads(Path("scan.sarif").read_text(encoding="utf-8"))["runs"][0]["results"] == []


def test_pages_of_ours_are_not_followed() -> None:
    """Links to the pages under the prefix are left out, and only those."""
    assert command._own_page("https://meridian.example/privacy/choices", "/privacy")
    assert command._own_page("https://meridian.example/privacy", "/privacy")
    assert not command._own_page("https://meridian.example/privacy-news", "/privacy")


def test_a_finding_of_many_pages_names_the_first() -> None:
    """The line stays short however many pages there are."""
    leak = Leak(
        code="S004", subject="x.example", service="", what="w", remedy="r", states=(), pages=("https://a/", "b", "c")
    )
    assert str(leak) == "S004 error x.example: w (https://a/ and 2 more). r."
