"""Look at what the trackers saw."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consent.demo.pages import create_site
from consent.demo.sightings import TrackerProcess
from consent.demo.trackers.app import create_trackers
from consent.demo.trackers.log import HOSTS
from tests.demo.client import TRACKER_PORT, Silent, client, site

SAW = "/en/what-the-trackers-saw"


def test_the_page_lists_every_tracker_even_one_that_saw_nothing(tmp_path: Path) -> None:
    """Before any request there are seven quiet trackers."""
    text = client(site(tmp_path)).get(SAW).text
    assert [text.count(f'data-host="{host}"') for host in HOSTS] == [1] * len(HOSTS)
    assert text.count("Nothing reached this host.") == len(HOSTS)
    assert "Nothing has reached the trackers." in text


def test_the_page_shows_requests_newest_first(tmp_path: Path) -> None:
    """Requests stand under their tracker with page and cookies, escaped, the newest on top."""
    trackers = create_trackers()
    headers = {"Referer": "http://meridian.localhost:8000/en/", "Cookie": "rs_uid=<7>", "Sec-Fetch-Dest": "image"}
    for n in range(45):
        client(trackers).get(f"http://stats.localhost:8001/noscript.gif?n={n}", headers=headers)
    response = client(site(tmp_path, trackers=trackers)).get(SAW)
    text = response.text
    assert "Requests that reached a tracker: 45" in text
    assert "rs_uid=&lt;7&gt;" in text
    assert text.index("?n=44<") < text.index("?n=43<")
    assert "?n=5<" in text
    assert "?n=4<" not in text
    assert "The newest 40 of them" in text
    assert response.headers["cache-control"] == "no-store"


def test_the_page_renews_itself_without_scripts(tmp_path: Path) -> None:
    """Only a browser without scripts reloads the page by itself."""
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in client(site(tmp_path)).get(SAW).text


def test_the_list_can_be_cleared(tmp_path: Path) -> None:
    """The button empties the list and comes back to the page."""
    trackers = create_trackers()
    client(trackers).get("http://ads.localhost:8001/pixel.gif")
    browser = client(site(tmp_path, trackers=trackers))
    before = browser.get(f"{SAW}.json").json()
    response = browser.post(f"{SAW}/clear")
    after = browser.get(f"{SAW}.json").json()
    assert (response.status_code, response.headers["location"]) == (303, SAW)
    assert [sighting["host"] for sighting in before["sightings"]] == ["ads.localhost"]
    assert after["sightings"] == []
    assert after["last"] != before["last"]


def test_trackers_that_are_gone_are_said_to_be_gone(tmp_path: Path) -> None:
    """Without the trackers' process the page says so, its data is 503, and clearing does no harm."""
    app = create_site(trackers=Silent(), tracker_port=TRACKER_PORT, corrections=tmp_path / "c.jsonl")
    browser = client(app)
    assert "The trackers do not answer." in browser.get(SAW).text
    assert browser.get(f"{SAW}.json").status_code == 503
    assert browser.post(f"{SAW}/clear").status_code == 303


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"])
def test_a_process_that_answers_badly_counts_as_gone(tmp_path: Path, answer: bytes) -> None:
    """A closed connection, an error and nonsense are all no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        reader = TrackerProcess(host="127.0.0.1", port=port)
        app = create_site(trackers=reader, tracker_port=port, corrections=tmp_path / "c.jsonl")
        with _answering(listening, answer):
            assert client(app).get(f"{SAW}.json").status_code == 503


@contextmanager
def _answering(listening: socket.socket, answer: bytes) -> Iterator[None]:
    """Give one connection a fixed answer."""

    def once() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    thread = threading.Thread(target=once)
    thread.start()
    yield
    thread.join()
