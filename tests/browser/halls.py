"""What people do at a seat map: find a seat, tap it, look at what it is."""

from uuid import UUID

import httpx
import make
from playwright.async_api import Locator, Page, expect

from browser.visits import Visit


async def enter(visit: Visit, show: make.Show) -> Page:
    """Open the page of a show, and wait until its hall is alive and up to date."""
    page = await visit.goto(f"/shows/{show.id}")
    await expect(page.locator("#booth.alive")).to_be_visible()
    await expect(page.locator(".hall-stage")).to_have_attribute("aria-busy", "false")
    return page


def seat(page: Page, seat_id: UUID) -> Locator:
    """A seat on the map."""
    return page.locator(f'.hall-seats [data-id="{seat_id}"]')


async def expect_seat(page: Page, seat_id: UUID, state: str) -> None:
    """The seat is, or comes to be, in that state: free, held, sold or mine."""
    await expect(seat(page, seat_id)).to_have_attribute("data-is", state)


async def tap(page: Page, seat_id: UUID) -> None:
    """A finger on a seat, wherever it is on the screen by now."""
    x, y = await _middle(page, seat_id)
    await page.touchscreen.tap(x, y)


async def press(page: Page, seat_id: UUID) -> None:
    """A click of the mouse on a seat."""
    x, y = await _middle(page, seat_id)
    await page.mouse.click(x, y)


async def come_near(page: Page, seat_id: UUID) -> None:
    """The first tap at a hall whose seats are smaller than a finger: it brings them near."""
    await tap(page, seat_id)
    await expect(page.locator(".hall-numbers.shown")).to_be_attached()
    await stand_still(page)


async def stand_still(page: Page) -> None:
    """Wait until the hall does not move."""
    await page.wait_for_function(
        """async () => {
          const place = () => JSON.stringify(document.querySelector("#hall").getBoundingClientRect());
          const before = place();
          await new Promise((go) => setTimeout(go, 150));
          return before === place();
        }"""
    )


async def taken_by_somebody(api: httpx.AsyncClient, show: make.Show, *seats: UUID) -> make.Buyer:
    """Somebody else, with an app of their own, holds seats."""
    buyer = await make.guest(api)
    answer = await make.hold(api, buyer, show, *seats)
    assert answer.status_code == 201, answer.text
    return buyer


async def _middle(page: Page, seat_id: UUID) -> tuple[float, float]:
    box = await seat(page, seat_id).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
