"""Read settings from every place, in their order, and refuse what cannot be served in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent import ConsentMiddleware, ConsentSettings
from consent.errors import CatalogueError, ConfigurationError, PolicyEditedError, PolicyError
from consent.settings import unknown_variables
from consent.site import Site
from tests.conftest import page_app

SECRET = "CONSENT_SECRET_KEYS='[\"from env file\"]'\n"
POLICY = '+++\ntitle = "Privacy"\neffective = 2026-03-01\nmaterial = true\nsummary = "First."\n+++\n{}\n'

WriteSite = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the working directory, without any variable of ours in the environment."""
    for name in [name for name in os.environ if name.startswith("CONSENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> WriteSite:
    """Return a function that writes a site's files."""

    def make(toml: str = "", env: str = SECRET, **policies: str) -> Path:
        (folder / "consent.toml").write_text(toml, encoding="utf-8")
        (folder / ".env").write_text(env, encoding="utf-8")
        for name, text in policies.items():
            path = folder / "policies" / "privacy" / f"{name}.en.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder / "consent.toml"

    return make


# -- where settings come from


def test_the_order_of_the_sources(write: WriteSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments go before the environment, the environment before `.env`, `.env` before `consent.toml`."""
    layers = ['site_name = "toml"', SECRET + "CONSENT_SITE_NAME=dotenv\n"]
    write(layers[0])
    assert ConsentSettings().site_name == "toml"
    write(*layers)
    assert ConsentSettings().site_name == "dotenv"
    monkeypatch.setenv("CONSENT_SITE_NAME", "environment")
    assert ConsentSettings().site_name == "environment"
    assert ConsentSettings(site_name="argument").site_name == "argument"


def test_tables_are_joined(write: WriteSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested variable changes one field of a table, and leaves the others as the file has them."""
    write('[controller]\nname = "Meridian Media Ltd"\ndpo = "a@meridian.example"\n')
    monkeypatch.setenv("CONSENT_CONTROLLER__DPO", "b@meridian.example")
    controller = ConsentSettings().controller
    assert (controller.name, controller.dpo) == ("Meridian Media Ltd", "b@meridian.example")


def test_foreign_lines_in_the_env_file(write: WriteSite) -> None:
    """The site's other secrets may lie in the same `.env`; only our lines are read."""
    write(env=f"DATABASE_URL=postgres://x\nconsent=no\nSECRET_KEY=abc\n# comment\n\nexport OTHER='1'\n{SECRET}")
    assert ConsentSettings().keys == ("from env file",)


def test_an_unknown_line_of_ours_in_the_env_file(write: WriteSite) -> None:
    """A line that begins like ours and means nothing is refused."""
    write(env=SECRET + "CONSENT_SITENAME=x\n")
    with pytest.raises(ConfigurationError, match="unknown setting"):
        ConsentSettings()


def test_another_file_by_environment(write: WriteSite, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CONSENT_CONFIG` names another file; the `.env` beside it is read, and its paths start there."""
    write('site_name = "here"', env="CONSENT_SITE_NAME=wrong\n")
    other = folder / "other"
    other.mkdir()
    (other / "site.toml").write_text('site_name = "there"')
    (other / ".env").write_text(SECRET)
    for named in ("other/site.toml", str(other / "site.toml")):
        monkeypatch.setenv("CONSENT_CONFIG", named)
        settings = ConsentSettings()
        assert (settings.site_name, settings.folder) == ("there", other.resolve())
        assert settings.path(settings.policies_dir) == other.resolve() / "policies"
    assert ConsentSettings.from_toml(other / "site.toml").site_name == "there"


def test_from_toml_is_stronger_than_the_environments_file(
    write: WriteSite, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file named in code is the file that is read."""
    write('site_name = "here"')
    (folder / "named.toml").write_text('site_name = "environment"')
    monkeypatch.setenv("CONSENT_CONFIG", str(folder / "named.toml"))
    assert ConsentSettings.from_toml(folder / "consent.toml").site_name == "here"


def test_no_file_is_needed(folder: Path) -> None:
    """Everything can be given in Python."""
    settings = ConsentSettings(secret_keys=("k",), services={"youtube": {}})
    assert settings.keys == ("k",)
    assert settings.folder == folder.resolve()


def test_defaults_are_safe(folder: Path) -> None:
    """Without a word from the site, cookies are Secure and HttpOnly, everybody is asked, and audit pages are off."""
    settings = ConsentSettings(secret_keys=("k",))
    assert settings.insecure_cookies is False
    assert settings.cookie_domain == ""
    assert settings.regimes == {}
    assert settings.audit_tokens == ()
    assert settings.undeclared == "report"
    assert settings.validity == "P6M"
    assert settings.spoken == ("en",)


def test_no_secret_is_shown(folder: Path) -> None:
    """Neither `repr` nor `str` of the settings shows a key or a token."""
    settings = ConsentSettings(secret_keys=("hidden-key",), audit_tokens=("hidden-token",), ledger_key="hidden-seed")
    assert "hidden" not in repr(settings) + str(settings)


# -- what is refused

Given = dict[str, Any]
REFUSED: dict[str, tuple[Given, str]] = {
    "unknown setting": ({"sitename": "x"}, "sitename: unknown setting"),
    "unknown field of a table": ({"controller": {"nmae": "x"}}, "controller.nmae: unknown setting"),
    "origin with a path": ({"origins": ("https://meridian.example/",)}, "is not an origin"),
    "origin without scheme": ({"origins": ("meridian.example",)}, "is not an origin"),
    "prefix without slash": ({"prefix": "privacy"}, "is not a path"),
    "prefix with slash at the end": ({"prefix": "/privacy/"}, "is not a path"),
    "prefix of the whole site": ({"prefix": "/"}, "is not a path"),
    "prefix with braces": ({"prefix": "/{x}"}, "is not a path"),
    "validity": ({"validity": "half a year"}, "is not a lifetime"),
    "validity of nothing": ({"validity": "P0D"}, "must hold for some time"),
    "validity of a session": ({"validity": "session"}, "must hold for some time"),
    "validity beyond what browsers keep": ({"validity": "P2Y"}, "P13M"),
    "validity beyond time": ({"validity": "P99999999Y"}, "P13M"),
    "validity beyond days": ({"validity": "P99999999999D"}, "P13M"),
    "revision": ({"notice_revision": 0}, "notice_revision"),
    "undeclared": ({"undeclared": "maybe"}, "undeclared"),
    "change link": ({"change_link": "none"}, "change_link"),
    "regime": ({"regimes": {"US": "whatever"}}, "regimes.US"),
    "body limit": ({"max_body": 5}, "max_body"),
}


@pytest.mark.parametrize(("given", "told"), REFUSED.values(), ids=REFUSED)
def test_settings_that_are_refused(folder: Path, given: Given, told: str) -> None:
    """A setting that cannot be served is refused in one line that names it."""
    with pytest.raises(ConfigurationError) as refusal:
        ConsentSettings(**({"secret_keys": ("k",)} | given))
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


SITES: dict[str, tuple[Given, type[ConfigurationError], list[str]]] = {
    "no secret": ({"secret_keys": ()}, ConfigurationError, ["CONSENT_SECRET_KEYS", "consent init"]),
    "an empty secret": ({"secret_keys": ("good", "")}, ConfigurationError, ["CONSENT_SECRET_KEYS"]),
    "unknown service": ({"services": {"youtub": {}}}, CatalogueError, ["services.youtub", "youtube"]),
    "no purpose": ({"services": {"x": {"hosts": ["a.example"]}}}, CatalogueError, ["services.x", "purpose"]),
    "unknown purpose": (
        {"services": {"x": {"purpose": "fun", "hosts": ["a.example"]}}},
        CatalogueError,
        ["services.x", "'fun'", "[purposes.fun]"],
    ),
    "a host twice": (
        {"services": {n: {"purpose": "media", "hosts": ["a.example"]} for n in ("x", "y")}},
        CatalogueError,
        ["services.y", "'a.example'", "'x'"],
    ),
    "our own key": ({"services": {"consent": {}}}, CatalogueError, ["services.consent"]),
    "the key of a purpose": (
        {"services": {"media": {"purpose": "media", "hosts": ["a.example"]}}},
        CatalogueError,
        ["services.media", "Rename"],
    ),
    "a language without words": ({"languages": ("xx",)}, ConfigurationError, ["languages", "'xx'", "uk"]),
    "another ledger": ({"ledger": "mysql://x"}, ConfigurationError, ["ledger", "sqlite:///"]),
    "a purpose that is no key": ({"purposes": {"My Purpose": {}}}, CatalogueError, ["purposes.My Purpose"]),
    "a title of a purpose": ({"purposes": {"media": {"title": 5}}}, CatalogueError, ["purposes.media.title"]),
    "titles of a purpose": ({"purposes": {"media": {"title": {"en": 5}}}}, CatalogueError, ["purposes.media.title"]),
    "an unknown field of a purpose": ({"purposes": {"media": {"x": "y"}}}, CatalogueError, ["purposes.media", "'x'"]),
}


@pytest.mark.parametrize(("given", "error", "told"), SITES.values(), ids=SITES)
def test_sites_that_are_refused(folder: Path, given: Given, error: type[ConfigurationError], told: list[str]) -> None:
    """A site that contradicts itself is refused at once, in one line that says where and what to do."""
    settings = ConsentSettings(**({"secret_keys": ("k",)} | given))
    with pytest.raises(error) as refusal:
        ConsentMiddleware(page_app, settings=settings)
    text = str(refusal.value)
    assert "\n" not in text
    assert [part for part in told if part not in text] == []


FILES = {
    "not toml": "site_name = ",
    "not utf-8": b"site_name = '\xff'",
    "unknown key": 'nonsense = "x"',
    "wrong type": "origins = 5",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files_that_are_refused(write: WriteSite, content: str | bytes) -> None:
    """A configuration file that cannot be read is refused in one line."""
    path = write()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError) as refusal:
        ConsentSettings()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", ["not json", "[", '"text"', "[1"])
def test_a_variable_that_is_no_list(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A list that is not written as JSON is refused, and the line shows how to write it, not what was written."""
    monkeypatch.setenv("CONSENT_SECRET_KEYS", value)
    with pytest.raises(ConfigurationError) as refusal:
        ConsentSettings()
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named and not there is refused, however it is named."""
    with pytest.raises(ConfigurationError, match="consent init"):
        ConsentSettings.from_toml("nothing.toml")
    monkeypatch.setenv("CONSENT_CONFIG", "nothing.toml")
    with pytest.raises(ConfigurationError, match=r"CONSENT_CONFIG=nothing\.toml"):
        ConsentSettings()


def test_a_policy_that_cannot_be_read(write: WriteSite) -> None:
    """A policy without front matter, or in another encoding, is refused with its place."""
    write(**{"1": "no front matter"})
    with pytest.raises(PolicyError, match=r"1\.en\.md"):
        Site(ConsentSettings())


def test_a_published_policy_that_was_edited(write: WriteSite, folder: Path) -> None:
    """A published version that was edited on disk is refused at start, and the line names both digests."""
    write('origins = ["https://meridian.example"]', **{"1": POLICY.format("First text.")})
    first = Site(ConsentSettings())
    first.start()
    first.close()
    write('origins = ["https://meridian.example"]', **{"1": POLICY.format("Other text.")})
    second = Site(ConsentSettings())
    with pytest.raises(PolicyEditedError) as refusal:
        second.start()
    second.close()
    assert refusal.value.published != refusal.value.on_disk
    for digest in (refusal.value.published, refusal.value.on_disk):
        assert digest in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_sites_ledger(write: WriteSite) -> None:
    """A ledger belongs to the first origin; with another one the site does not start."""
    write('origins = ["https://meridian.example"]')
    first = Site(ConsentSettings())
    first.start()
    first.close()
    write('origins = ["https://other.example"]')
    with pytest.raises(ConfigurationError, match=r"meridian\.example"):
        Site(ConsentSettings()).start()


def test_a_ledger_key_that_is_none(write: WriteSite) -> None:
    """A key for checkpoints that cannot be read is refused at start, and is not shown."""
    write("", SECRET + "CONSENT_LEDGER_KEY=nonsense\n")
    site = Site(ConsentSettings())
    with pytest.raises(ConfigurationError) as refusal:
        site.start()
    site.close()
    assert "\n" not in str(refusal.value)
    assert "nonsense" not in str(refusal.value)


def test_a_folder_that_is_not_there(write: WriteSite, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger in a folder that is not there stops no page: it is logged, and tried again later."""
    write('ledger = "sqlite:///gone/consent.db"')
    site = Site(ConsentSettings())
    site.start()
    site.close()
    assert "gone/consent.db" in caplog.text


# -- unknown variables


def test_unknown_variables_are_found() -> None:
    """`consent check` can tell which variables of ours nothing reads."""
    names = ["CONSENT_CONFIG", "CONSENT_SITE_NAME", "consent_prefix", "CONSENT_CONTROLLER__NAME", "PATH"]
    assert unknown_variables(dict.fromkeys([*names, "CONSENT_SITENAME", "CONSENT_X__Y"], "1")) == [
        *("CONSENT_SITENAME", "CONSENT_X__Y"),
    ]


def test_every_setting_can_be_an_environment_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and tables are JSON in the environment."""
    monkeypatch.setenv("CONSENT_SECRET_KEYS", json.dumps(["a", "b"]))
    monkeypatch.setenv("CONSENT_SERVICES", json.dumps({"youtube": {}}))
    monkeypatch.setenv("CONSENT_LANGUAGES", json.dumps(["uk"]))
    monkeypatch.setenv("CONSENT_REGIMES", json.dumps({"us": "opt-out"}))
    settings = ConsentSettings()
    assert settings.keys == ("a", "b")
    assert settings.spoken == ("en", "uk")
    assert settings.regimes == {"US": "opt-out"}
