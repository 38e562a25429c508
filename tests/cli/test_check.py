"""Test `consent check` as a whole: that a good site has no findings, and that one run finds everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consent.choice.choice import acceptance, identified
from consent.choice.cookie import ID_BYTES, seal
from consent.cli.findings.finding import Severity
from consent.cli.main import main
from consent.opening import ledger_from
from consent.settings import ConsentSettings
from consent.site import Site
from tests.cli.place import SECRET, SERVICE, Place, found, garbage, services


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


def test_a_superseded_version_needs_no_other_language(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is in force, or will be, must be there in every language."""
    place.set(languages=["uk"])
    place.policy("privacy/0.en.md", effective="2026-01-01")
    place.policy("privacy/1.uk.md")
    place.policy("privacy/2.en.md", effective="9999-01-01")
    place.policy("cookies/1.uk.md")
    assert [one["place"] for one in found(place, capsys) if one["code"] == "C305"] == ["policies/privacy/2.uk.md"]


def test_what_cannot_be_read_as_an_example_is_passed_over(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder named like an example, or a picture named like one, holds no secret and breaks nothing."""
    (place.folder / ".env.d").mkdir()
    garbage("README.png")(place)
    assert found(place, capsys) == []


@pytest.mark.parametrize(
    "more", [{}, {"cookie_domain": "meridian.example"}, {"insecure_cookies": True}], ids=["host", "domain", "insecure"]
)
def test_the_cookie_is_measured_as_the_site_writes_it(
    more: dict[str, Any], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bytes that are named are those of the name and value of a visitor who accepts all."""
    place.set(services=services(100), **more)
    site = Site(ConsentSettings.from_toml(place.config))
    site.close()
    notice = site.edition(site.now()).notices["en"]
    choice = identified(acceptance(notice, now=int(site.now())), consent_id=site.random(ID_BYTES))
    written = f"{site.cookie_name}={seal(choice, notice=notice, by=site.choice_signer)}"
    (finding,) = [one for one in found(place, capsys) if one["code"] == "C210"]
    assert f"make the cookie {len(written)} bytes" in finding["what"]


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
    ledger = ledger_from(ConsentSettings.from_toml(place.config))
    ledger.start()
    try:
        assert [one["code"] for one in found(place, capsys)] == []
        ledger.seal()
    finally:
        ledger.close()


def test_the_right_key_is_no_finding(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger key in the environment that signs for this origin is in order, and none is needed beside the ledger."""
    place.publish()
    key = (place.folder / "consent.db.key").read_text().strip()
    place.remove("consent.db.key")
    place.variable("CONSENT_LEDGER_KEY", "")
    (place.folder / ".env").write_text((place.folder / ".env").read_text().replace("'\"\"'", f"'{key}'"))
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
