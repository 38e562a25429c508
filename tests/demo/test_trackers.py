"""Ask the pretend third parties."""

from __future__ import annotations

import struct
from http.cookies import SimpleCookie

import pytest

from consent.demo.articles import read_paper
from consent.demo.trackers.app import LANGUAGES, create_trackers
from consent.demo.trackers.font import CLOSING, END_MARK, OPENING, make_font
from consent.demo.trackers.log import HOSTS, Log
from tests.demo.client import client

SLUGS = sorted({slug for slug, _ in read_paper().articles})
PAGE = "http://meridian.localhost:8000/en/articles/foghorn"
ADDRESSES = [
    ("stats.localhost", "/rs.js", "text/javascript"),
    ("stats.localhost", "/noscript.gif", "image/gif"),
    ("ads.localhost", "/pixel.gif?page=/en/", "image/gif"),
    ("ads.localhost", "/slot.js", "text/javascript"),
    ("ads.localhost", "/creative?lang=uk", "text/html"),
    ("video.localhost", "/embed/foghorn?lang=en", "text/html"),
    ("video.localhost", "/poster/foghorn.svg", "image/svg+xml"),
    ("social.localhost", "/widgets.js", "text/javascript"),
    ("social.localhost", "/card/foghorn?lang=uk", "text/html"),
    ("social.localhost", "/post/foghorn", "text/html"),
    ("donate.localhost", "/widget?lang=en", "text/html"),
    ("comments.localhost", "/embed.js", "text/javascript"),
    ("comments.localhost", "/thread/foghorn.json", "application/json"),
    ("fonts.localhost", "/css?family=Castoff+Ornaments", "text/css"),
]


@pytest.mark.parametrize(("host", "path", "kind"), ADDRESSES)
def test_a_third_party_answers_notes_and_sets_cookies(host: str, path: str, kind: str) -> None:
    """Every address serves what it promises, sets cookies for other sites to send, and notes the request."""
    log = Log(clock=lambda: 1_795_000_000.25)
    response = client(create_trackers(log), at=f"http://{host}:8001").get(
        path, headers={"Referer": PAGE, "Sec-Fetch-Dest": "script", "Cookie": "old=1"}
    )
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == kind
    lines = response.headers.get_list("set-cookie")
    assert ["Partitioned" in line for line in lines] == [False, True]
    for line in lines:
        cookie = next(iter(SimpleCookie(line.removesuffix("; Partitioned")).values()))
        assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("None", True, True)
    assert log.as_json()["sightings"] == [
        {
            "number": 1,
            "at": 1_795_000_000_250,
            "host": host,
            "method": "GET",
            "path": path,
            "page": PAGE,
            "cookies": "old=1",
            "destination": "script",
        }
    ]


def test_a_third_party_knows_a_reader_again() -> None:
    """The number that was sent along is set once more, not a new one."""
    browser = client(create_trackers(), at="http://ads.localhost:8001")
    first, second = (browser.get("/pixel.gif", headers={"Cookie": "adq_uid=abc"}) for _ in range(2))
    assert first.headers.get_list("set-cookie")[0].startswith("adq_uid=abc;")
    assert first.headers.get_list("set-cookie")[1] != second.headers.get_list("set-cookie")[1]


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_content_for_every_article(slug: str, language: str) -> None:
    """Each article's video, post and comments exist in both languages."""
    app = create_trackers()
    for host, path in (("video", f"/embed/{slug}"), ("social", f"/card/{slug}")):
        response = client(app, at=f"http://{host}.localhost:8001").get(f"{path}?lang={language}")
        assert f'<html lang="{language}">' in response.text
    thread = client(app, at="http://comments.localhost:8001").get(f"/thread/{slug}.json?lang={language}").json()
    assert len(thread["comments"]) == 2


@pytest.mark.parametrize(
    "address",
    [
        "http://video.localhost:8001/embed/none",
        "http://video.localhost:8001/poster/none.svg",
        "http://social.localhost:8001/card/none",
        "http://stats.localhost:8001/log",
        "http://none.localhost:8001/rs.js",
    ],
)
def test_what_does_not_exist_is_not_found(address: str) -> None:
    """An unknown thing, an unknown host, and the log under a tracker's name are 404."""
    assert client(create_trackers()).get(address).status_code == 404


def test_the_events_of_widgets_are_taken() -> None:
    """The statistics script, the player and the donation form each have where to send to."""
    app = create_trackers()
    assert client(app).get("http://stats.localhost:8001/collect?event=page").status_code == 204
    assert client(app).post("http://video.localhost:8001/heartbeat").status_code == 204
    thanks = client(app).post("http://donate.localhost:8001/give?lang=uk", data={"amount": "5"})
    assert "Дякуємо" in thanks.text


def test_comments_may_be_read_with_cookies_from_the_embedding_site() -> None:
    """The thread answers the origin that asks, by name."""
    browser = client(create_trackers(), at="http://comments.localhost:8001")
    response = browser.get("/thread/foghorn.json", headers={"Origin": "http://localhost:8000"})
    assert response.headers["access-control-allow-origin"] == "http://localhost:8000"
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in browser.get("/thread/foghorn.json").headers


def test_the_log_is_read_and_cleared_and_does_not_note_itself() -> None:
    """The log's own address counts nothing, cannot be read from other origins, and starts afresh when cleared."""
    app = create_trackers()
    client(app).get("http://fonts.localhost:8001/css")
    reader = client(app, at="http://127.0.0.1:8001")
    answer = reader.get("/log", headers={"Origin": "http://evil.example"})
    assert answer.json()["counts"] == {host: int(host == "fonts.localhost") for host in HOSTS}
    assert "access-control-allow-origin" not in answer.headers
    cleared = reader.delete("/log").json()
    assert cleared["sightings"] == []
    assert set(cleared["counts"].values()) == {0}
    assert cleared["last"] > answer.json()["last"]


def test_the_log_is_bounded() -> None:
    """Only the newest requests are held, long values are cut, and all are counted."""
    log = Log(held=3)
    for n in range(5):
        log.note(host=HOSTS[0], method="GET", path=f"/{n}" + "x" * 9000, page="", cookies="", destination="")
    held = log.as_json()
    assert [sighting["path"][:2] for sighting in held["sightings"]] == ["/2", "/3", "/4"]
    assert max(len(sighting["path"]) for sighting in held["sightings"]) == 400
    assert held["counts"][HOSTS[0]] == 5


def test_the_font_is_a_sound_truetype_file() -> None:
    """Every table has its checksum, the whole has the one of the specification, and each ornament maps to a glyph."""
    font = make_font()
    count = struct.unpack_from(">H", font, 4)[0]
    tables = {}
    for n in range(count):
        tag, checksum, offset, length = struct.unpack_from(">4sIII", font, 12 + 16 * n)
        tables[tag] = font[offset : offset + length]
        assert offset % 4 == 0
        if tag != b"head":
            assert checksum == _sum(tables[tag])
    assert list(tables) == sorted(tables)
    assert _sum(font) == 0xB1B0AFBA
    mapped = _mapping(tables[b"cmap"])
    assert set(mapped) == {ord(character) for character in (" ", END_MARK, OPENING, CLOSING)}
    glyphs = struct.unpack_from(">H", tables[b"maxp"], 4)[0]
    assert sorted(mapped.values()) == [1, 2, 3, 4]
    assert len(tables[b"loca"]) == 4 * (glyphs + 1)
    assert struct.unpack(f">{glyphs + 1}I", tables[b"loca"])[-1] == len(tables[b"glyf"])


def _sum(data: bytes) -> int:
    padded = data + bytes(-len(data) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total % 2**32


def _mapping(table: bytes) -> dict[int, int]:
    """Read a character map of format 4 whose segments hold one character each."""
    assert struct.unpack_from(">HHHHI", table) == (0, 1, 3, 1, 12)
    kind, _, _, doubled = struct.unpack_from(">HHHH", table, 12)
    assert kind == 4
    count = doubled // 2
    ends = struct.unpack_from(f">{count}H", table, 26)
    starts = struct.unpack_from(f">{count}H", table, 28 + doubled)
    deltas = struct.unpack_from(f">{count}H", table, 28 + 2 * doubled)
    assert starts == ends
    assert ends[-1] == 0xFFFF
    return {start: (start + delta) % 65536 for start, delta in zip(starts[:-1], deltas[:-1], strict=True)}
