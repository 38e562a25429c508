"""Test `consent init`: what it writes, and what it never touches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.cli import init
from consent.cli.main import main
from consent.errors import ConfigurationError
from consent.policies import library
from consent.settings import ConsentSettings
from consent.shipped import STARTER_POLICIES
from consent.site import Site

TODAY = date(2027, 3, 1)
FILES = {"consent.toml", ".env", ".gitignore", "policies/privacy/1.en.md", "policies/cookies/1.en.md"}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every setting of the machine out of the environment."""
    for name in [name for name in os.environ if name.startswith("CONSENT_")]:
        monkeypatch.delenv(name)


def files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_what_a_site_needs(tmp_path: Path) -> None:
    """Configuration, secrets, starter policies and an ignore file are written, and nothing else."""
    assert main(["init", str(tmp_path / "new" / "site")]) == 0
    assert set(files(tmp_path / "new" / "site")) == FILES


def test_the_folder_is_this_one_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the files are written where the command is run."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert set(files(tmp_path)) == FILES


def test_a_site_can_be_built_from_it(tmp_path: Path) -> None:
    """What is written is a site: name, origins and languages are those that were asked for."""
    words = ["--name", "The Meridian", "--origin", "https://meridian.example", "--origin", "https://Example.org/"]
    assert main(["init", str(tmp_path), *words, "--language", "uk", "--language", "en"]) == 0
    site = Site(ConsentSettings.from_toml(tmp_path / "consent.toml"))
    site.close()
    assert site.settings.site_name == "The Meridian"
    assert site.settings.origins == ("https://meridian.example", "https://example.org")
    assert (site.settings.default_language, site.settings.languages) == ("uk", ("uk", "en"))
    assert site.settings.undeclared == "hold"


def test_secrets_are_fresh_private_and_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sites get different secrets, in files that only their owner reads, and none is shown."""
    secrets = []
    for name in ("a", "b"):
        assert main(["init", str(tmp_path / name)]) == 0
        assert (tmp_path / name / ".env").stat().st_mode & 0o777 == 0o600
        written = ConsentSettings.from_toml(tmp_path / name / "consent.toml")
        secrets += [one.get_secret_value() for one in (*written.secret_keys, *written.audit_tokens)]
    assert len(secrets) == 4
    assert len(set(secrets)) == 4
    assert all(len(secret) >= 43 for secret in secrets)
    printed = "".join(capsys.readouterr())
    assert not any(secret in printed for secret in secrets)


def test_secrets_are_private_under_any_umask(tmp_path: Path) -> None:
    """The file with the secrets is never readable by others, however generous the process is."""
    code = "import os, sys; os.umask(0); from consent.cli.main import main; sys.exit(main(['init', '.']))"
    # Only the fixed words above are run.
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_the_next_steps_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer names every file, the check, and the line that embeds it."""
    main(["init", str(tmp_path)])
    out = capsys.readouterr().out
    assert all(f"wrote {tmp_path / name}\n" in out for name in FILES)
    assert f"consent check --config {tmp_path / 'consent.toml'}" in out
    assert "app.add_middleware(ConsentMiddleware)" in out


@pytest.mark.parametrize("name", ["consent.toml", ".env", "policies/privacy/1.en.md", "policies/terms/3.uk.md"])
def test_nothing_is_overwritten(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file in the way is named, and then nothing is written at all."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    assert main(["init", str(tmp_path)]) == 1
    assert files(tmp_path) == {name: b"mine\n"}
    err = capsys.readouterr().err
    assert err.startswith(f"consent: {tmp_path / name.partition('/')[0]}: in the way")
    assert err.count("\n") == 1


def test_everything_in_the_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run names all that the first one wrote, and changes none of it."""
    main(["init", str(tmp_path)])
    before = files(tmp_path)
    capsys.readouterr()
    assert main(["init", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert all(str(tmp_path / name) in err for name in ("consent.toml", ".env", "policies"))
    assert files(tmp_path) == before


def test_a_dangling_link_is_in_the_way(tmp_path: Path) -> None:
    """A link that leads nowhere is not followed: secrets must not be written to where it points."""
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    assert main(["init", str(tmp_path)]) == 1
    assert not (tmp_path / "elsewhere").exists()
    assert files(tmp_path) == {}


def test_an_empty_folder_of_policies_is_filled(tmp_path: Path) -> None:
    """A folder without anything in it is not in the way."""
    (tmp_path / "policies").mkdir()
    assert main(["init", str(tmp_path)]) == 0
    assert set(files(tmp_path)) == FILES


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be written, those before it and the folders made for them go away again."""
    make_file = init._make_file

    def fail(path: Path, data: bytes, *, mode: int, made: list[Path]) -> None:
        make_file(path, data, mode=mode, made=made)
        if path.name == "1.en.md":
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(init, "_make_file", fail)
    (tmp_path / "mine.txt").write_text("mine\n")
    with pytest.raises(ConfigurationError, match="nothing was left behind"):
        init.write(tmp_path / "new" / "site", name="", origins=["https://a.example"], spoken=["en"], today=TODAY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be is an error in one line, and stays as it is."""
    (tmp_path / "site").write_text("mine\n")
    assert main(["init", str(tmp_path / "site")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert files(tmp_path) == {"site": b"mine\n"}


def test_an_ignore_file_is_left_alone_and_what_it_lacks_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A site's own .gitignore is not changed; the lines it should have are printed."""
    (tmp_path / ".gitignore").write_text("*.pyc\n.env\n")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.env\n"
    lacking = "*.db *.db-* *.db.* *consent-checkpoint* consent-queue/"
    assert f"Add to {tmp_path / '.gitignore'}: {lacking}\n" in capsys.readouterr().out


def test_git_ignores_all_that_is_kept_there(tmp_path: Path) -> None:
    """The written .gitignore has a line for the secrets, the ledger, its key, what lies beside them, and the queue."""
    main(["init", str(tmp_path)])
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    for name in (
        *(".env", "consent.db", "consent.db-wal", "consent.db.key", "consent.db.checkpoint", "consent-queue/"),
        *(
            "consent.db.checkpoint.erasures",
            ".consent.db.checkpoint.lock",
            "consent-checkpoint",
            ".consent-checkpoint.lock",
        ),
    ):
        assert any(Path(name.rstrip("/")).match(line.rstrip("/")) for line in lines), name


def test_only_what_is_to_be_filled_in_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check of a new site asks for the policies to be filled in, with file and line, and for nothing else."""
    for words in ([], ["--origin", "https://meridian.example", "--language", "uk", "--language", "en"]):
        folder = tmp_path / f"site-{len(words)}"
        assert main(["init", str(folder), *words]) == 0
        capsys.readouterr()
        assert main(["check", "--config", str(folder / "consent.toml")]) == 1
        errors = [line for line in capsys.readouterr().out.splitlines() if " error " in line]
        assert errors
        assert all(re.match(r"C304 error policies/\w+/1\.(en|uk)\.md:\d+: ", line) for line in errors), errors


def test_a_filled_in_site_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once the controller is named and the brackets are written, only the unread words of a language are left."""
    main(["init", str(tmp_path), "--language", "en", "--language", "uk"])
    config = tmp_path / "consent.toml"
    config.write_text(
        re.sub(r'^(name|address|contact) = ""', r'\1 = "Meridian Media Ltd"', config.read_text(), flags=re.M)
    )
    for path in tmp_path.glob("policies/*/*.md"):
        path.write_text(re.sub(r"\[\[.*?\]\]", "14 days", path.read_text(), flags=re.S))
    capsys.readouterr()
    assert main(["check", "--config", str(config)]) == 0
    findings = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line[0] == "C"]
    assert [code for code, severity in findings if severity != "info"] == ["C507"]


def test_the_starter_policies_take_effect_today(tmp_path: Path) -> None:
    """The policies differ from those that are shipped in their first day alone."""
    init.write(tmp_path, name="", origins=["https://a.example"], spoken=["uk", "en"], today=TODAY)
    written = library.read(tmp_path / "policies")
    shipped = library.read(STARTER_POLICIES)
    assert [one.key for one in written.documents] == [
        one.key for one in shipped.documents if one.language in ("en", "uk")
    ]
    assert {one.effective for one in written.documents} == {TODAY}
    assert [one.body for one in written.documents] == [one.body for one in shipped.documents]
    assert main(["init", str(tmp_path / "now")]) == 0
    assert library.read(tmp_path / "now/policies").in_force("privacy", datetime.now(UTC)) == "1"


@pytest.mark.parametrize(
    "words",
    [
        ["--language", "xx"],
        ["--origin", "meridian.example"],
        ["--origin", "ftp://meridian.example"],
        ["--origin", "https://meridian.example/path"],
        ["--origin", "https://user@meridian.example"],
        ["--origin", "https://meridian.example:0"],
        ["--origin", "https://meridian.example:99999"],
        ["--origin", "https://[::1"],
        ["--origin", "https://"],
        ["--origin", ""],
        ["--name", "\udcff"],
    ],
    ids=lambda words: " ".join(words).encode("ascii", "backslashreplace").decode(),
)
def test_wrong_words_write_nothing(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An origin that is none, a language that is not spoken, or bytes that are no text: status 2 and no file."""
    assert main(["init", str(tmp_path / "site"), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "site").exists()


@settings(deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_is_written_so_that_it_reads_the_same(name: str) -> None:
    """Quotes, dollars, line ends and control characters in a name do not break the configuration."""
    text = init.configuration(name=name, origins=["https://a.example"], spoken=["en"])
    assert tomllib.loads(text)["site_name"] == name


def test_every_setting_is_mentioned_with_its_default() -> None:
    """The configuration names every setting, and the lines that are commented out hold the defaults."""
    text = init.configuration(name="", origins=["https://a.example"], spoken=["en"])
    # A line that sets it, a table of it, or, for a secret, the comment that says where it belongs.
    lines = r"^#?{0} = |^#?\[{0}[].]|^# {0} \(CONSENT_"
    assert [name for name in ConsentSettings.model_fields if not re.search(lines.format(name), text, re.M)] == []
    top = text.partition("\n[controller]")[0]
    defaults = tomllib.loads("\n".join(line[1:] for line in top.splitlines() if re.match(r"#\w+ = ", line)))
    assert len(defaults) > 8
    for name, value in defaults.items():
        default = ConsentSettings.model_fields[name].default
        if default not in (None, ""):  # without a default the line is an example
            assert str(default) == str(value), name


def test_every_example_in_it_can_be_switched_on(tmp_path: Path) -> None:
    """With every commented line switched on, the file is still a configuration."""
    text = init.configuration(name="", origins=["https://a.example"], spoken=["en"])
    path = tmp_path / "consent.toml"
    path.write_text(re.sub(r'^#(?=[\w"[])', "", text, flags=re.M))
    (tmp_path / ".env").write_text("CONSENT_SECRET_KEYS='[\"0123456789abcdefghijklmnopqrstuvwxyz\"]'\n")
    (tmp_path / "consent-templates").mkdir()
    site = Site(ConsentSettings.from_toml(path))
    site.close()
    assert {"youtube", "reader-stats"} == set(site.settings.services)
