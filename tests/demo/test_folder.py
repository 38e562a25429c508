"""Make the demo site's folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from consent.demo.articles import LANGUAGES
from consent.demo.folder import make
from consent.demo.trackers.log import HOSTS
from consent.errors import ConfigurationError
from consent.settings import ConsentSettings
from consent.site import Site


def test_a_new_folder_holds_all_that_a_site_needs(tmp_path: Path) -> None:
    """Configuration, secrets and both policies are written, and the secrets are for their owner alone."""
    folder = tmp_path / "deep" / "demo-site"
    assert make(folder, port=8000) == ["consent.toml", ".env", "policies"]
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    for language in LANGUAGES:
        assert list(folder.glob(f"policies/privacy/*.{language}.md"))
        assert list(folder.glob(f"policies/cookies/*.{language}.md"))


def test_two_folders_have_different_secrets(tmp_path: Path) -> None:
    """Secrets are made for each folder."""
    for name in ("one", "two"):
        make(tmp_path / name, port=8000)
    first, second = ((tmp_path / name / ".env").read_text() for name in ("one", "two"))
    assert not set(first.splitlines()) & set(second.splitlines())


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """Every file of the folder, changed by its owner or not, stays as it is."""
    make(tmp_path, port=8000)
    (tmp_path / "policies" / "privacy" / "2026-10-01.uk.md").unlink()
    with (tmp_path / "consent.toml").open("a") as configuration:
        configuration.write("# mine\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert make(tmp_path, port=9000) == []
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("text", ["# mine\n", "", 'site_name = "Mine"\n'])
def test_another_sites_folder_is_refused(tmp_path: Path, text: str) -> None:
    """A folder whose configuration the demo did not write is left as it is."""
    (tmp_path / "consent.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"consent\.toml: was not written by the demo.*with --dir"):
        make(tmp_path, port=8000)
    assert [file.name for file in tmp_path.iterdir()] == ["consent.toml"]
    assert (tmp_path / "consent.toml").read_text() == text


def test_only_what_is_missing_is_written(tmp_path: Path) -> None:
    """A lost file comes back without touching the others."""
    make(tmp_path, port=8000)
    secrets = (tmp_path / ".env").read_bytes()
    (tmp_path / "consent.toml").unlink()
    assert make(tmp_path, port=8000) == ["consent.toml"]
    assert (tmp_path / ".env").read_bytes() == secrets


def test_the_configuration_is_a_whole_site(tmp_path: Path) -> None:
    """The settings load, the origins carry the port, and every tracker belongs to exactly one service."""
    make(tmp_path, port=8123)
    settings = ConsentSettings.from_toml(tmp_path / "consent.toml")
    site = Site(settings)
    owners = {host: service.key for service in site.catalogue.services for host in service.hosts}
    assert settings.origins == tuple(f"http://{name}:8123" for name in ("meridian.localhost", "localhost", "127.0.0.1"))
    assert settings.languages == LANGUAGES
    assert set(owners) == set(HOSTS)
    assert len(set(owners.values())) == len(HOSTS)
    assert len(settings.audit_tokens) == 1
    assert {cookie.name for service in site.catalogue.services for cookie in service.cookies} >= {
        "_mab",
        "_rs",
        "_rs_*",
        "_adq",
        "_chp",
        "_talk",
    }


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    """A file in the way is named, with what to do."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigurationError, match=r"taken: File exists\. Name a folder that can be written, with --dir"):
        make(tmp_path / "taken", port=8000)
