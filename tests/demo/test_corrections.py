"""Report mistakes to the newsroom."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import httpx2
import pytest

from consent.demo.corrections import MAX_BODY, MAX_TEXT
from tests.demo.client import client, site

WHOLE = {"article": "foghorn", "text": "It was a B flat.\nI was there.", "reply_to": "una@keepers.example"}


def send(folder: Path, fields: dict[str, str], *, language: str = "en", origin: str = "same-origin") -> httpx2.Response:
    """Send the form."""
    return client(site(folder)).post(
        f"/{language}/corrections", data=fields, headers={"Sec-Fetch-Site": origin} if origin else {}
    )


@pytest.mark.parametrize("origin", ["same-origin", "none", ""])
def test_a_correction_is_kept_as_one_line(tmp_path: Path, origin: str) -> None:
    """Each report becomes one line of JSON in a file that only its owner can read."""
    for language in ("en", "uk"):
        response = send(tmp_path, WHOLE, language=language, origin=origin)
        assert response.status_code == 303
        assert response.headers["location"] == f"/{language}/corrections/thanks"
    file = tmp_path / "corrections.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines == [{**WHOLE, "language": language, "received": 1_795_000_000} for language in ("en", "uk")]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"article": ""}, "choose the article"),
        ({"article": "../../etc/passwd"}, "choose the article"),
        ({"text": " \n "}, "say what is wrong"),
        ({"text": "x" * (MAX_TEXT + 1)}, "at most 4,000"),
        ({"reply_to": "not an address"}, "does not look like"),
        ({"reply_to": "a@b" * 100}, "does not look like"),
    ],
)
def test_an_incomplete_form_comes_back(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    """The form is shown again with what was entered and what is missing, and nothing is kept."""
    response = send(tmp_path, WHOLE | changed)
    assert response.status_code == 422
    assert says in response.text
    assert ("I was there." in response.text) == ("text" not in changed)
    assert not (tmp_path / "corrections.jsonl").exists()


def test_the_address_may_be_left_empty(tmp_path: Path) -> None:
    """An anonymous report is welcome."""
    assert send(tmp_path, WHOLE | {"reply_to": ""}).status_code == 303


@pytest.mark.parametrize("origin", ["cross-site", "same-site"])
def test_another_site_cannot_report(tmp_path: Path, origin: str) -> None:
    """A form on somebody else's page is refused."""
    assert send(tmp_path, WHOLE, origin=origin).status_code == 403
    assert not (tmp_path / "corrections.jsonl").exists()


def test_a_form_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """More than the limit is not read to the end."""
    assert send(tmp_path, WHOLE | {"text": "x" * MAX_BODY}).status_code == 413


def test_what_was_entered_is_never_markup(tmp_path: Path) -> None:
    """A report that comes back is escaped."""
    response = send(tmp_path, WHOLE | {"article": "", "text": "</textarea><script>alert(1)</script>"})
    assert "<script>alert" not in response.text


def test_a_body_that_is_no_form_comes_back_as_an_empty_one(tmp_path: Path) -> None:
    """Bytes that mean nothing are a form with everything missing."""
    response = client(site(tmp_path)).post("/en/corrections", content=b"\xff\xfe\x00%%%&&==")
    assert response.status_code == 422


def test_the_article_a_reader_comes_from_is_chosen(tmp_path: Path) -> None:
    """The link below an article fills in the first field."""
    text = client(site(tmp_path)).get("/uk/corrections?article=open-books").text
    assert '<option value="open-books" selected>' in text
