"""Make the browser forget everything on a withdrawal, and only then, and only where the site wants it."""

from __future__ import annotations

import pytest

from consent import testing
from tests.conftest import MakeClient

HEADER = "clear-site-data"


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "form"])
@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "not wanted"])
def test_a_withdrawal_clears_where_the_site_opts_in(make_client: MakeClient, wanted: bool, as_json: bool) -> None:
    """Cache and storage are cleared by the answer to a withdrawal; cookies are not, because the choice is one."""
    client = make_client(clear_site_data=wanted)
    assert HEADER not in testing.grant(client, "analytics", "media").headers
    fields = {"choice": "withdraw"}

    def withdraw() -> str | None:
        if as_json:
            return client.post("/privacy/choices", json=fields).headers.get(HEADER)
        return client.post("/privacy/choices", data=fields).headers.get(HEADER)

    assert withdraw() == ('"cache", "storage"' if wanted else None)
    assert withdraw() is None
    assert HEADER not in client.get("/").headers


def test_what_withdraws_in_part_clears_too(make_client: MakeClient) -> None:
    """One service taken back is a withdrawal."""
    client = make_client(clear_site_data=True)
    testing.grant(client, "analytics", "media")
    assert HEADER in testing.grant(client, "analytics").headers


def test_a_first_refusal_clears_nothing(make_client: MakeClient) -> None:
    """Who never granted anything has nothing to be cleared."""
    client = make_client(clear_site_data=True)
    assert HEADER not in testing.refuse(client).headers
    assert HEADER not in client.post("/privacy/erase").headers


def test_erasing_clears(make_client: MakeClient) -> None:
    """Erasing is withdrawing first."""
    client = make_client(clear_site_data=True)
    testing.grant(client, "analytics")
    assert HEADER in client.post("/privacy/erase").headers
