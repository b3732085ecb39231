"""The hall shows what is: seats grey as others take them, ours lapse before our eyes, and no broken line hides that."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import make
from playwright.async_api import Route, expect

from browser.box_office import BoxOffice
from browser.conftest import Visitors
from browser.halls import enter, expect_seat, press, taken_by_somebody
from browser.visits import Visit


async def test_a_seat_taken_elsewhere_greys_and_comes_back(
    desktop: Visit, box_office: BoxOffice, hasty_box_office: BoxOffice, api: httpx.AsyncClient
) -> None:
    show = await box_office.show()
    page = await enter(desktop, show)

    buyer = await taken_by_somebody(api, show, show.seats[7])
    await expect_seat(page, show.seats[7], "held")
    await desktop.look("show-others")
    await api.delete(f"/api/v1/bookings/holds/{buyer.id}", headers=buyer.headers)
    await expect_seat(page, show.seats[7], "free")
    booked = await make.book(api, buyer, show, show.seats[8])
    assert booked.status_code == 201
    await expect_seat(page, show.seats[8], "sold")

    # Through another process, too; and that hold lapses by itself.
    async with httpx.AsyncClient(base_url=hasty_box_office.url) as elsewhere:
        await taken_by_somebody(elsewhere, show, show.seats[9])
    await expect_seat(page, show.seats[9], "held")
    await expect_seat(page, show.seats[9], "free")


async def test_two_race_for_a_seat_and_one_has_it(visitors: Visitors, box_office: BoxOffice) -> None:
    show = await box_office.show()
    one, two = await visitors("desktop"), await visitors("desktop")
    for visit in (one, two):
        visit.allow("status of 409")
        # Whoever is slower shall learn it from the answer, and not from the stream before.
        await visit.page.route("**/events", _never)
        await visit.goto(f"/shows/{show.id}")
        await expect(visit.page.locator("#booth.alive")).to_be_visible()
        await press(visit.page, show.seats[3 if visit is one else 5])
    for visit, own in ((one, 3), (two, 5)):
        await expect_seat(visit.page, show.seats[own], "mine")

    await asyncio.gather(*(press(visit.page, show.seats[4]) for visit in (one, two)))

    ends = {await _settled(visit, show): visit for visit in (one, two)}
    assert set(ends) == {"mine", "held"}
    for visit, own in ((one, 3), (two, 5)):
        await expect_seat(visit.page, show.seats[own], "mine")
    await expect(ends["held"].page.locator("#line")).to_contain_text("Someone was faster: A5 just went.")
    await ends["held"].look("show-faster")


async def test_a_hold_lapses_before_ones_eyes_and_is_held_again(
    visitors: Visitors, hasty_box_office: BoxOffice
) -> None:
    show = await hasty_box_office.show()
    visit = await visitors("phone", url=hasty_box_office.url)
    page = await enter(visit, show)
    await page.get_by_role("button", name="Best 2 together").tap()
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(2)

    names = await page.locator("[data-names]").inner_text()
    await expect(page.locator("#line")).to_contain_text(f"Time is up: {names} free again for everybody.")
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(0)
    await expect(page.locator('.hall-seats [data-is="free"]')).to_have_count(300)
    await visit.look("show-lapsed")

    await page.get_by_role("button", name="Hold again").tap()
    await expect(page.locator('.hall-seats [data-is="mine"]')).to_have_count(2)
    await expect(page.locator("#bar")).to_contain_text(names)


async def test_without_a_network_it_says_so_and_catches_up(
    desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient
) -> None:
    show = await box_office.show()
    desktop.allow("ERR_INTERNET_DISCONNECTED")
    desktop.allow("ERR_NETWORK_CHANGED")
    page = await enter(desktop, show)

    await desktop.context.set_offline(True)
    await expect(page.locator("#line")).to_contain_text("You are offline.")
    await expect(page.locator(".hall-stage")).to_have_attribute("aria-busy", "true")
    await press(page, show.seats[0])
    await expect_seat(page, show.seats[0], "free")
    await desktop.look("show-offline")
    await taken_by_somebody(api, show, show.seats[1])

    await desktop.context.set_offline(False)
    await expect(page.locator(".hall-stage")).to_have_attribute("aria-busy", "false")
    await expect_seat(page, show.seats[1], "held")
    await expect(page.locator("#line")).to_contain_text("You are online again.")
    await press(page, show.seats[0])
    await expect_seat(page, show.seats[0], "mine")


async def test_where_no_stream_comes_through_it_asks(
    desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient
) -> None:
    show = await box_office.show()
    desktop.allow("ERR_FAILED")
    await desktop.page.route("**/events", lambda route: route.abort())
    page = await enter(desktop, show)

    await taken_by_somebody(api, show, show.seats[1])
    await expect_seat(page, show.seats[1], "held")
    await taken_by_somebody(api, show, show.seats[2])
    await expect_seat(page, show.seats[2], "held")


async def test_after_a_reset_nothing_is_believed_before_it_was_read(
    desktop: Visit, box_office: BoxOffice, api: httpx.AsyncClient
) -> None:
    show = await box_office.show()
    go_on = asyncio.Event()
    await desktop.page.route(f"**/api/v1/seats/shows/{show.id}", _when(go_on))
    page = await desktop.goto(f"/shows/{show.id}")
    stage = page.locator(".hall-stage")
    # A stream begins with a reset.
    await expect(stage).to_have_attribute("aria-busy", "true")
    await taken_by_somebody(api, show, show.seats[1])
    await expect_seat(page, show.seats[1], "held")

    go_on.set()

    await expect(stage).to_have_attribute("aria-busy", "false")
    await expect_seat(page, show.seats[1], "held")


async def _never(_: Route) -> None:
    """Leave a request without an answer."""


def _when(go_on: asyncio.Event) -> Callable[[Route], Awaitable[None]]:
    async def wait(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    return wait


async def _settled(visit: Visit, show: make.Show) -> str:
    wanted = visit.page.locator(f'.hall-seats [data-id="{show.seats[4]}"]')
    await expect(wanted).not_to_have_attribute("data-is", "free")
    await expect(wanted).not_to_have_class("regular waiting")
    return await wanted.get_attribute("data-is") or ""
