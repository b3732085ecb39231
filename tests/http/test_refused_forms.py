"""From a form that was refused, every way goes on: its page knows where it lives, though its address takes forms."""

import html
import re

import httpx
import make
import pytest
from visitor import Visitor

from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office
from boxoffice.web.router import PAGE_ROUTES

FORMS = sorted(path for handler in PAGE_ROUTES if "POST" in handler.http_methods for path in handler.paths)
NEXT = re.compile(r'name="next" value="([^"]*)"|[?&]next=([^"&]*)')
REDIRECTS_MAX = 5


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    """Somebody whose session is a guest's, with a page's token."""
    made = await Visitor(client, office).become_guest()
    await made.get("/")
    return made


async def address(form: str, visitor: Visitor, pool: Pool) -> str:
    """The address of a form, of a show or booking that there is."""
    show = await make.show(pool)
    booking = await visitor.book(show, show.seats[0]) if "{booking_id" in form else ""
    return form.replace("{show_id:str}", str(show.id)).replace("{booking_id:uuid}", booking)


def ways_on(page: str) -> set[str]:
    """Where the page's links and forms lead back to."""
    return {str(httpx.URL(html.unescape(value or link))) for value, link in NEXT.findall(page)}


async def reached(visitor: Visitor, path: str) -> int:
    """The status of what is seen there in the end."""
    for _ in range(REDIRECTS_MAX):
        answer = await visitor.get(path)
        if not answer.is_redirect:
            return answer.status_code
        path = answer.headers["location"]
    raise AssertionError(f"no end of redirects at {path}")


@pytest.mark.parametrize("form", FORMS)
async def test_the_page_of_a_refused_form_leads_back_to_a_page(visitor: Visitor, pool: Pool, form: str) -> None:
    path = await address(form, visitor, pool)

    refused = await visitor.post(path, {"csrf": "grown old"})

    assert refused.status_code == 403
    ways = ways_on(refused.text)
    assert ways
    for way in ways:
        assert await reached(visitor, way) == 200, way


@pytest.mark.parametrize(
    "form",
    ["/shows/{show_id:str}/hold", "/shows/{show_id:str}/book", "/shows/{show_id:str}/best", "/language", "/city"],
)
async def test_so_does_one_that_says_too_little(visitor: Visitor, pool: Pool, form: str) -> None:
    path = await address(form, visitor, pool)

    refused = await visitor.post(path)

    assert refused.status_code == 400
    ways = ways_on(refused.text)
    assert ways
    for way in ways:
        assert await reached(visitor, way) == 200, way


async def test_from_a_shows_form_it_leads_to_the_show(visitor: Visitor, pool: Pool) -> None:
    show = await make.show(pool)
    await visitor.post(f"/shows/{show.id}/best", {"count": "0"})

    chosen = await visitor.post("/language", visitor.form("/language") | {"language": "hi"})
    back = await visitor.get(chosen.headers["location"])

    assert back.headers["location"] == f"/shows/{show.id}?view=list"


async def test_coming_back_to_a_form_sends_nothing(client: httpx.AsyncClient, office: Office) -> None:
    entry = await office.accounts.guest_in_browser()
    visitor = Visitor(client, office).with_session(entry.token)

    for path in ("/sign-out", "/guest", "/city", "/language"):
        answer = await visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "set-cookie" not in answer.headers
    assert (await office.accounts.identify_browser(entry.token)).user_id == entry.caller.user_id
