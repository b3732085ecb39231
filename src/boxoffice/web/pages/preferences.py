"""What a visitor chose once and does not want to be asked again: the language, and the city."""

from typing import Any, Final

from litestar import get, post
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from boxoffice.errors import MalformedError
from boxoffice.languages import LANGUAGES
from boxoffice.web.fields import Body
from boxoffice.web.pages.browser import CITY_LENGTH_MAX, PageRequest, browser_of
from boxoffice.web.pages.page import go, local_path


class LanguageForm(Body, frozen=True, kw_only=True):
    """The language to speak, by its code."""

    language: str = ""
    next: str = "/"


class CityForm(Body, frozen=True, kw_only=True):
    """The city to show."""

    city: str = ""
    next: str = "/"


@post("/language", sync_to_thread=False)
def choose(request: PageRequest, data: URLEncodedBody[LanguageForm]) -> Redirect:
    """The same page in the language that was chosen.

    Raises:
        MalformedError: there is no such language here.
    """
    if data.language not in LANGUAGES:
        raise MalformedError("no such language", errors={"language": "is none of ours"})
    browser_of(request).speak(LANGUAGES[data.language])
    return go(local_path(data.next))


@post("/city", sync_to_thread=False)
def move(request: PageRequest, data: URLEncodedBody[CityForm]) -> Redirect:
    """The same page for the city that was chosen.

    Raises:
        MalformedError: that is no city's name.
    """
    city = data.city.strip()
    if not city or len(city) > CITY_LENGTH_MAX or not city.isprintable():
        raise MalformedError("no such city", errors={"city": "is no name"})
    browser_of(request).city = city
    return go(local_path(data.next))


@get(["/language", "/city"], sync_to_thread=False)
def lead_back() -> Redirect:
    """Whoever comes back to the address of a form sees what is on."""
    return go("/")


ROUTES: Final[list[Any]] = [choose, move, lead_back]
