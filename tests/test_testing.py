"""Help a site test itself: say what is misspelt, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consent import testing
from tests.conftest import MakeClient


@pytest.mark.parametrize("key", ["analytic", "lantern-vidoe", "Media"])
def test_a_misspelt_key_is_named(make_client: MakeClient, key: str) -> None:
    """A key that there is none of raises, with it and with all that could have been meant."""
    with pytest.raises(ValueError, match=f"^'{key}' cannot be granted: purposes are .*analytics.*") as raised:
        testing.grant(make_client(), "media", key)
    assert "services are " in str(raised.value)
    assert all(one in str(raised.value) for one in ("lantern-video", "reader-stats", "media"))


def test_what_is_granted_is_granted(make_client: MakeClient) -> None:
    """A purpose and a service are agreed to, and nothing else."""
    client = make_client()
    testing.grant(client, "analytics", "lantern-video")
    allowed = client.get("/privacy/state").json()["allowed"]
    assert {"analytics", "reader-stats", "lantern-video"} <= set(allowed)
    assert "harbour-maps" not in allowed


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_nothing_is_left_behind(tmp_path: Path, end: str) -> None:
    """What sites of tests keep is gone when the process ends, also after an error."""
    code = f"from consent import testing; sites = [testing.site() for _ in range(3)]; sites[0].start(); {end}"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert list(tmp_path.iterdir()) == []
