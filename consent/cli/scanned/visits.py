"""Visit one page in every state a visitor can be in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urldefrag, urlsplit

from playwright.sync_api import Browser, Error

from consent.cli.scanned.browser import first_line
from consent.cli.scanned.observed import Kept, Seen, State, Visit
from consent.cli.scanned.window import Patience, VisitError, Window

ACCEPT, REFUSE, WITHDRAW = "accept_all", "reject_all", "withdraw"
Progress = Callable[[int], object]
"""Is told the number of every state that is begun."""


def see(browser: Browser, page: str, *, patience: Patience, progress: Progress) -> Seen:
    """Visit a page in fresh profiles: before a choice, after each answer, after withdrawing, and with Sec-GPC.

    Where the page shows no banner only the visits without an answer are made. `progress` is told how many of the
    states are done.
    """
    visits: list[Visit] = []
    links: tuple[str, ...] = ()
    try:
        with Window(browser, patience=patience) as window:
            progress(list(State).index(State.BEFORE))
            window.open(page)
            first = _noted(window, page, State.BEFORE)
            visits.append(first)
            links = _same_site(window.links(), page)
        if first.asking:
            with Window(browser, patience=patience) as window:
                progress(list(State).index(State.REFUSED))
                window.open(page)
                visits.append(_answered(window, page, REFUSE, State.REFUSED))
            with Window(browser, patience=patience) as window:
                visits += _taken_back(window, page, progress)
        with Window(browser, patience=patience, signal=True) as window:
            progress(list(State).index(State.GPC))
            window.open(page)
            visits.append(_noted(window, page, State.GPC))
            if visits[-1].asking:
                progress(list(State).index(State.GPC_ACCEPTED))
                visits.append(_answered(window, page, ACCEPT, State.GPC_ACCEPTED))
    except VisitError as error:
        return Seen(page=page, visits=tuple(visits), links=links, failure=str(error))
    except Error as error:
        return Seen(page=page, visits=tuple(visits), links=links, failure=f"the browser gave up: {first_line(error)}")
    return Seen(page=page, visits=tuple(visits), links=links)


def _taken_back(window: Window, page: str, progress: Progress) -> Iterator[Visit]:
    """Accept, and then withdraw on the page of choices that the banner's form belongs to."""
    progress(list(State).index(State.ACCEPTED))
    window.open(page)
    button = window.button(ACCEPT)
    choices = window.target(button) if button is not None else ""
    accepted = _answered(window, page, ACCEPT, State.ACCEPTED)
    yield accepted
    if accepted.failure:
        return
    progress(list(State).index(State.WITHDRAWN))
    left = window.cookies()
    window.open(choices)
    yield _answered(window, page, WITHDRAW, State.WITHDRAWN, left=left)


def _answered(window: Window, page: str, answer: str, state: State, *, left: tuple[Kept, ...] = ()) -> Visit:
    """Give an answer where its button is shown, and visit the page anew."""
    button = window.button(answer)
    if button is None:
        return Visit(page=page, state=state, failure=f"there is no button for {answer!r}")
    try:
        window.press(button)
    except VisitError as error:
        return Visit(page=page, state=state, failure=str(error))
    window.open(page)
    again = window.button(REFUSE) is not None
    return _noted(window, page, state, left=left, failure="the banner asks again" if again else "")


def _noted(window: Window, page: str, state: State, *, left: tuple[Kept, ...] = (), failure: str = "") -> Visit:
    return Visit(
        page=page,
        state=state,
        asked=window.asked(),
        cookies=window.cookies(),
        stored=window.stored(),
        left=left,
        asking=window.button(ACCEPT) is not None and window.button(REFUSE) is not None,
        failure=failure,
    )


def _same_site(links: tuple[str, ...], page: str) -> tuple[str, ...]:
    """Return the links that stay on the origin of a page, without fragments, each once."""
    here = urlsplit(page)[:2]
    plain = (urldefrag(link)[0] for link in links)
    return tuple(dict.fromkeys(link for link in plain if urlsplit(link)[:2] == here))
