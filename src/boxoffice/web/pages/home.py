"""The front page: what is on in the visitor's city."""

from typing import Final

from litestar import Response, get

from boxoffice.web.pages.browser import PageRequest
from boxoffice.web.pages.page import render


@get("/", sync_to_thread=False)
def show_home(request: PageRequest) -> Response[str]:
    """The films of the day."""
    return render(request, "home.html")


ROUTES: Final = [show_home]
