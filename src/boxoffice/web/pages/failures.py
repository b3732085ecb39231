"""What goes wrong, told to people: a page instead of problem details, for those who come with a browser."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State

from boxoffice.web.pages.page import render, wants_page

Handler = Callable[[Any, Any], Response[Any]]


class Story(msgspec.Struct, frozen=True):
    """How a failure is told; both are msgids."""

    title: str
    advice: str


def N_(text: str) -> str:  # noqa: N802  (gettext's own name for it)
    """A text that is looked up later."""
    return text


BY_STATUS: Final[Mapping[int, Story]] = {
    400: Story(
        N_("That did not work"),
        N_("Something in the address or the form was not as it should be. Go back and try again."),
    ),
    401: Story(N_("Please sign in"), N_("This page is for somebody we know. Sign in, and it is yours to see.")),
    403: Story(
        N_("This form has grown old"), N_("Go back, reload the page and send the form again. Nothing was changed.")
    ),
    404: Story(
        N_("This page is not on the programme"),
        N_("It may have moved, or have been somebody else's. What is on today is on the front page."),
    ),
    409: Story(
        N_("Somebody was faster"), N_("Things have changed since you opened the page. Go back and have another look.")
    ),
    413: Story(N_("That is too much at once"), N_("The form holds more than we take. Send less of it.")),
    429: Story(N_("One moment, please"), N_("That was a little too often. Wait a moment, then try again.")),
    500: Story(
        N_("The projector is stuck"),
        N_("That is our fault, and we have been told. Your seats and your money are safe. Please try again."),
    ),
    503: Story(
        N_("The house is full for a moment"),
        N_("Very many people are here right now. Your seats and your money are safe. Try again in a few seconds."),
    ),
}
"""By status; any other is told as 400 or 500."""

BY_CODE: Final[Mapping[str, Story]] = {
    "forbidden": Story(N_("This is not yours to see"), N_("Another account may be allowed. Sign in with that one.")),
    "movie_not_found": Story(
        N_("We do not show this film"), N_("It may have left the programme. What is on today is on the front page.")
    ),
    "show_not_found": Story(N_("There is no such show"), N_("It may have been called off. Choose another one.")),
    "booking_not_found": Story(
        N_("We find no such booking here"),
        N_("It may belong to another account. If you bought it with yours, sign in and look under My bookings."),
    ),
    "show_begun": Story(N_("The show has begun"), N_("Its seats are no longer sold here. Choose another show.")),
    "seat_limit_reached": Story(
        N_("That is as many seats as one person may take"),
        N_("Pay for those that you have first, or give some back."),
    ),
    "too_many_attempts": Story(
        N_("Too many attempts"), N_("For your safety we wait a moment before the next one. Try again in a minute.")
    ),
}
"""For those of which more can be said than their status says."""


def for_browsers(handlers: Mapping[Any, Any]) -> dict[Any, Handler]:
    """The same handlers of errors, each with a page for whom problem details are no use."""
    return {kind: _with_page(handler) for kind, handler in handlers.items()}


def _with_page(handler: Handler) -> Handler:
    def handle(request: Request[Any, Any, State], error: Exception) -> Response[Any]:
        answer = handler(request, error)
        return _page(request, answer) if wants_page(request) else answer

    return handle


def _page(request: Request[Any, Any, State], problem: Response[Any]) -> Response[Any]:
    said = cast("dict[str, Any]", problem.content)
    status: int = said["status"]
    story = BY_CODE.get(said["code"]) or BY_STATUS.get(status) or BY_STATUS[500 if status >= 500 else 400]  # noqa: PLR2004  (whose fault it is)
    page = render(request, "failure.html", status=status, story=story, problem_status=status)
    for name, value in problem.headers.items():
        if name.lower() != "content-type":
            page.headers[name] = value
    return page
