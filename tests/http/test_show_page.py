"""The page of a show, as a browser without JavaScript and as the seat map's modules speak to it."""

import json
import re
from typing import Any
from uuid import UUID

import httpx
import make
import msgspec
import pytest
from visitor import Visitor

from boxoffice.accounts import TooManyAttemptsError
from boxoffice.errors import UnavailableError
from boxoffice.postgres.pool import Pool
from boxoffice.seating.refusals import NotEnoughSeatsError
from boxoffice.settings import OrphanRule, Settings
from boxoffice.web.api.holds import CLAIM_PROBLEMS
from boxoffice.web.errors import every_problem
from boxoffice.web.limits import RateLimitedError
from boxoffice.web.office import Office
from boxoffice.web.pages.browser import ForeignFormError
from boxoffice.web.pages.show import NoSeatsChosenError

PAGE = {"Accept": "text/html"}
NOT_FROM_OUR_PAGE = {
    "malformed",
    "repeated_seats",
    "unknown_seats",
    "not_identified",
    "forbidden",
    "idempotency_key_reused",
}
"""Refusals of what the page never asks; should it, they are told as "failed"."""
JSON = {"Accept": "application/json"}


class Browser:
    """A browser: keeps its cookies, and sends the token of the page that it saw last."""

    def __init__(self, client: httpx.AsyncClient, show: make.Show) -> None:
        self.http = httpx.AsyncClient(transport=client._transport, base_url=client.base_url)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the way to the same application)
        self.address = f"/shows/{show.id}"
        self.page = ""

    async def see(self, view: str = "map") -> str:
        answer = await self.http.get(self.address, params={"view": view}, headers=PAGE)
        assert answer.status_code == 200, answer.text
        self.page = answer.text
        return self.page

    async def send(self, act: str, *seats: UUID, headers: dict[str, str] = JSON, **fields: Any) -> httpx.Response:
        token = re.search(r'<meta name="csrf" content="([^"]+)"', self.page)
        assert token
        form: dict[str, Any] = {"csrf": token[1], "seat": [str(seat) for seat in seats], **fields}
        return await self.http.post(f"{self.address}/{act}", data=form, headers=headers)

    def once(self) -> str:
        found = re.search(r'"once": "([0-9a-f]+)"|name="once" value="([0-9a-f]+)"', self.page)
        assert found
        return found[1] or found[2]


@pytest.fixture
def rule() -> OrphanRule:
    return "off"


@pytest.fixture
def settings(settings: Settings, rule: OrphanRule) -> Settings:
    return msgspec.structs.replace(settings, orphan_seats=rule)


@pytest.fixture
async def show(pool: Pool) -> make.Show:
    return await make.show(pool, rows=3)


@pytest.fixture
async def browser(client: httpx.AsyncClient, show: make.Show) -> Browser:
    made = Browser(client, show)
    await made.see()
    return made


def states(page: str) -> dict[str, str]:
    """What each seat on the map is said to be."""
    return dict(re.findall(r'data-id="([^"]+)"(?: data-price="\d+")? data-is="(\w+)"', page))


async def test_the_hall_is_drawn_with_every_seat_as_it_is(
    browser: Browser, client: httpx.AsyncClient, show: make.Show
) -> None:
    other = await make.guest(client)
    await make.hold(client, other, show, show.seats[0])
    await make.booking(client, other, show, show.seats[1])

    page = await browser.see()

    assert states(page) == {str(seat): {0: "held", 1: "sold"}.get(i, "free") for i, seat in enumerate(show.seats)}
    assert "Sholay" in page
    assert "₹250" in page


async def test_a_seat_is_held_by_who_was_nobody_before_and_given_back(
    browser: Browser, client: httpx.AsyncClient, show: make.Show
) -> None:
    answer = await browser.send("hold", *show.seats[:2])

    assert answer.status_code == 200, answer.text
    held = answer.json()["held"]
    assert [seat["id"] for seat in held["seats"]] == [str(seat) for seat in show.seats[:2]]
    assert held["total"] == "₹500"
    assert held["now"] < held["seats"][0]["expiresAt"]
    assert list(states(await browser.see()).values()).count("mine") == 2
    seen = (await client.get(f"/api/v1/seats/shows/{show.id}")).json()
    assert seen["summary"]["held"] == 2

    given = await browser.send("release", show.seats[0])

    assert [seat["id"] for seat in given.json()["held"]["seats"]] == [str(show.seats[1])]
    now = await browser.http.get(f"{browser.address}/held", headers=JSON)
    assert now.json()["held"]["seats"] == given.json()["held"]["seats"]
    assert (await browser.send("release")).json()["held"]["seats"] == []


async def test_who_was_faster_is_told_with_the_seats(
    browser: Browser, client: httpx.AsyncClient, show: make.Show
) -> None:
    await make.hold(client, await make.guest(client), show, show.seats[1])

    answer = await browser.send("hold", *show.seats[:3])

    assert answer.status_code == 409
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.json()["code"], answer.json()["showSeatIds"]) == ("seats_taken", [str(show.seats[1])])
    page = await browser.send("book", *show.seats[:3], headers=PAGE)
    assert page.status_code == 409
    assert "Someone was faster: A2 just went." in page.text
    assert '<form class="seat-list"' in page.text


async def test_the_list_sells_without_javascript(browser: Browser, show: make.Show) -> None:
    page = await browser.see("list")
    assert page.count('type="checkbox"') == len(show.seats)
    assert "seat_map.js" not in page

    held = await browser.send("hold", *show.seats[:2], headers=PAGE)
    assert (held.status_code, held.headers["location"]) == (303, f"{browser.address}?view=list")
    page = await browser.see("list")
    assert page.count(" checked>") == 2
    assert "A1, A2 are held for you until" in page

    booked = await browser.send("book", *show.seats[:2], headers=PAGE, once=browser.once())
    assert booked.status_code == 303
    assert re.fullmatch(r"/bookings/[0-9a-f-]{36}", booked.headers["location"])


async def test_a_booking_asked_for_twice_by_one_page_is_one(browser: Browser, show: make.Show) -> None:
    once = browser.once()
    first = await browser.send("book", *show.seats[:2], once=once)
    again = await browser.send("book", *reversed(show.seats[:2]), once=once)

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    other = await browser.send("book", show.seats[2], once=once)
    assert other.json() != first.json()


async def test_the_best_seats_are_held_in_one_go(browser: Browser, show: make.Show) -> None:
    answer = await browser.send("best", count="3")

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["held"]["seats"]) == 3
    many = await browser.send("best", count="8")
    assert (many.status_code, many.json()["code"]) == (409, "seat_limit_reached")


@pytest.mark.parametrize(
    "count",
    ["", "0", "11", "-1", "x", "9" * 50, "²", "0011", "00150", "2\n", pytest.param("001" + "0" * 5000, id="zeros")],
)
async def test_nonsense_is_refused(browser: Browser, count: str) -> None:
    assert (await browser.send("best", count=count)).status_code == 400


async def test_no_seat_too_many_seats_and_no_seats_at_all(browser: Browser, client: httpx.AsyncClient) -> None:
    none = await browser.send("hold")
    assert (none.status_code, none.json()["code"]) == (400, "no_seats_chosen")
    page = await browser.send("hold", headers=PAGE)
    assert page.status_code == 400
    assert "Please choose at least one seat." in page.text
    token = re.search(r'content="([^"]+)"', browser.page)
    assert token
    odd = await browser.send("hold", seat="nonsense")
    assert (odd.status_code, odd.json()["code"]) == (400, "malformed")
    eleven = await browser.send("hold", *(UUID(int=n) for n in range(11)))
    assert (eleven.status_code, eleven.json()["code"]) == (409, "seat_limit_reached")


FORMS: list[tuple[str, dict[str, Any], int, str]] = [
    ("hold", {"seat": "nonsense"}, 400, "That did not work."),
    ("hold", {"seat": str(UUID(int=1))}, 400, "That did not work."),
    ("hold", {}, 400, "Please choose at least one seat."),
    ("hold", {"seat": [str(UUID(int=number)) for number in range(11)]}, 409, "You can hold 10 seats at most."),
    ("book", {"seat": "nonsense"}, 400, "That did not work."),
    ("book", {"seat": str(UUID(int=1))}, 400, "That did not work."),
    ("book", {}, 400, "Please choose at least one seat."),
    ("best", {"count": "0"}, 400, "That did not work."),
    ("best", {"count": "9"}, 409, "There are not that many seats left."),
    ("release", {"seat": "nonsense"}, 400, "That did not work"),
]


@pytest.mark.parametrize(("act", "fields", "status", "told"), FORMS)
async def test_what_is_refused_is_told_on_a_page(
    browser: Browser,
    client: httpx.AsyncClient,
    show: make.Show,
    act: str,
    fields: dict[str, Any],
    status: int,
    told: str,
) -> None:
    await make.hold(client, await make.guest(client), show, *show.seats[:6])
    await browser.send("hold", show.seats[6])

    answer = await browser.send(act, headers=PAGE, **fields)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert told in answer.text


async def test_a_form_of_another_page_does_nothing(browser: Browser, show: make.Show) -> None:
    answer = await browser.http.post(f"{browser.address}/hold", data={"seat": str(show.seats[0])}, headers=JSON)

    assert answer.status_code == 403


async def test_a_show_that_has_begun_can_be_seen_and_not_bought(browser: Browser, pool: Pool, show: make.Show) -> None:
    await make.begin(pool, show)

    page = await browser.see()

    assert "The show has begun" in page
    assert "seat_map.js" not in page
    assert (await browser.send("hold", show.seats[0])).json()["code"] == "show_begun"


async def test_an_unknown_show_is_a_page_that_says_so(browser: Browser) -> None:
    answer = await browser.http.get(f"/shows/{UUID(int=1)}", headers=PAGE)

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_modules_are_asked_for_again_and_what_changes_its_address_is_kept(client: httpx.AsyncClient) -> None:
    module = await client.get("/static/js/seat_map.js")
    assert (module.status_code, module.headers["cache-control"]) == (200, "no-cache")
    style = await client.get("/static/css/seat_map.css?v=0123456789ab")
    assert "immutable" in style.headers["cache-control"]
    missing = await client.get("/static/css/nothing.css?v=0123456789ab")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-cache")


@pytest.mark.parametrize("rule", ["warn"])
async def test_a_seat_that_a_pick_leaves_alone_is_named(browser: Browser, show: make.Show) -> None:
    # Rows of five: who takes the second to the fourth leaves the first and the last alone.
    answer = await browser.send("hold", *show.seats[1:4])

    assert answer.status_code == 200, answer.text
    assert answer.json()["alone"] == [str(show.seats[0]), str(show.seats[4])]


@pytest.mark.parametrize("rule", ["refuse"])
async def test_or_it_is_refused_with_a_word_why(browser: Browser, show: make.Show) -> None:
    refused = await browser.send("hold", *show.seats[6:9])

    assert (refused.status_code, refused.json()["code"]) == (409, "orphan_seat")
    page = await browser.send("hold", *show.seats[6:9], headers=PAGE)
    assert "That would leave a single seat (B1, B5) that hardly anybody takes." in page.text


async def test_continue_before_the_modules_are_there_books_what_is_held(
    client: httpx.AsyncClient, office: Office, show: make.Show
) -> None:
    visitor = await Visitor(client, office).become_guest()
    address = f"/shows/{show.id}"
    await visitor.get(address)
    await visitor.post(f"{address}/hold", {"seat": [str(seat) for seat in show.seats[:2]]})
    await visitor.get(address)

    form = visitor.form(f"{address}/book")
    booked = await visitor.post(f"{address}/book", form)

    assert booked.status_code == 303, visitor.text
    await visitor.get(booked.headers["location"])
    for seat in ("Seat A1", "Seat A2"):
        assert seat in visitor.text
    again = await visitor.post(f"{address}/book", form)
    assert again.headers["location"] == booked.headers["location"]


async def test_every_refusal_of_an_act_has_a_word(browser: Browser) -> None:
    told = re.search(r'id="booth-data">(.*?)</script>', browser.page, re.DOTALL)
    assert told is not None
    words = set(json.loads(told[1])["words"]["refusals"])
    claims = {example.id for spec in CLAIM_PROBLEMS.values() for example in spec.examples or []}
    of_pages = {
        error.code
        for error in (
            ForeignFormError,
            NoSeatsChosenError,
            NotEnoughSeatsError,
            RateLimitedError,
            TooManyAttemptsError,
            UnavailableError,
        )
    }

    assert (claims | of_pages) - NOT_FROM_OUR_PAGE <= words
    assert words - {"failed"} <= {kind.code for kind in every_problem()}


async def test_a_booking_that_is_still_to_be_paid_is_pointed_out(browser: Browser, show: make.Show) -> None:
    booked = await browser.send("book", show.seats[0])

    assert f'<a href="{booked.json()["location"]}">' in await browser.see()
