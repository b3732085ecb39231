"""Paying in a real browser: declined and then paid, late webhooks, impatient fingers, the Back button, two tabs."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import make
import pytest
from playwright.async_api import expect
from running import started

from boxoffice.postgres.pool import Pool
from browser.box_office import BoxOffice
from browser.buying import Buyer
from browser.conftest import Visitors
from browser.halls import enter
from browser.visits import Device, Visit

SLOW_S = 4
"""Seconds that the sleepy gateway waits before it tells."""


@pytest.fixture(scope="session")
def sleepy_box_office(
    pages_dsn: str, pages_pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BoxOffice]:
    """Another process on the same database, whose gateway tells late."""
    folder: Path = tmp_path_factory.mktemp("sleepy") / "data"
    with started(folder, "serve", DATABASE_URL=pages_dsn, FAKE_GATEWAY_DELAY_S=str(SLOW_S)) as made:
        yield BoxOffice(made, pages_pool)


async def test_a_gateway_that_is_down_is_told_and_tried_again(
    visitors: Visitors, pages_dsn: str, pages_pool: Pool, tmp_path: Path
) -> None:
    with started(tmp_path / "data", "serve", DATABASE_URL=pages_dsn, FAKE_GATEWAY_FAIL_RATE="1") as down:
        visit = await visitors("phone", url=down.url)
        visit.allow("503")
        buyer = Buyer(visit)
        await buyer.book_best(await BoxOffice(down, pages_pool).show())
        for _ in range(2):
            await buyer.press(re.compile("[Pp]ay ₹"))
            await expect(buyer.page.get_by_text("The payment company does not answer just now.")).to_be_visible()
        await visit.look("gateway-down", full=True)
        await buyer.press("हिन्दी")
        await buyer.see("to-pay")


@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_declined_and_then_paid(box_office: BoxOffice, visitors: Visitors, device: Device) -> None:
    visit = await visitors(device)
    buyer = Buyer(visit)
    await buyer.book_best(await box_office.show())
    await visit.look("checkout", full=True)
    await buyer.press(re.compile("^Pay ₹"))
    await expect(buyer.page).to_have_title(re.compile("Fake gateway"))
    await visit.look("gateway")
    await buyer.press("Decline")
    await expect(buyer.page.get_by_role("link", name="Back to the box office")).to_be_visible()
    await visit.look("gateway-declined")

    await buyer.see("declined")
    await visit.look("declined", full=True)
    await buyer.pay()
    await expect(buyer.page.get_by_role("link", name="Back to the box office")).to_be_visible()
    await visit.look("gateway-paid")

    await buyer.see("ticket")
    await expect(buyer.page.locator("svg.qr")).to_have_count(2)
    await visit.look("ticket", full=True)


@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_a_late_webhook_is_waited_for(sleepy_box_office: BoxOffice, visitors: Visitors, device: Device) -> None:
    visit = await visitors(device, url=sleepy_box_office.url)
    buyer = Buyer(visit)
    await buyer.book_best(await sleepy_box_office.show())
    await buyer.pay()
    await buyer.press("Back to the box office", role="link")

    await buyer.see("waiting")
    await expect(buyer.page.get_by_role("heading", name="Your payment is being confirmed")).to_be_visible()
    await visit.look("waiting", full=True)
    await buyer.see("ticket")


async def test_a_late_webhook_is_waited_for_without_javascript(
    sleepy_box_office: BoxOffice, visitors: Visitors
) -> None:
    visit = await visitors("phone", url=sleepy_box_office.url, java_script_enabled=False)
    buyer = Buyer(visit)
    show = await sleepy_box_office.show()
    await buyer.page.goto(f"{visit.url}/shows/{show.id}?view=list")
    await buyer.page.get_by_role("checkbox").first.check()
    await buyer.press(re.compile("Book|Continue"))
    await buyer.pay()
    await buyer.press("Back to the box office", role="link")
    await buyer.see("waiting")
    await buyer.see("ticket")
    await expect(buyer.page.locator("svg.qr")).to_have_count(1)


async def test_who_comes_by_localhost_comes_back_to_their_own_booking(
    box_office: BoxOffice, visitors: Visitors
) -> None:
    visit = await visitors("desktop", url=box_office.url.replace("127.0.0.1", "localhost"))
    buyer = Buyer(visit)
    await buyer.book_best(await box_office.show())
    await buyer.pay()
    await buyer.see("ticket")


async def test_coming_back_without_paying_and_cancelling(box_office: BoxOffice, phone: Visit) -> None:
    buyer = Buyer(phone)
    await buyer.book_best(await box_office.show())
    await buyer.press(re.compile("^Pay ₹"))
    await buyer.press("Cancel and go back", role="link")
    await expect(buyer.page.get_by_text("You came back without paying.")).to_be_visible()
    await buyer.press("Cancel and give the seats back")
    await buyer.see("cancelled")
    await phone.look("cancelled", full=True)


@pytest.mark.parametrize("locale", ["en-IN", "hi-IN"])
async def test_pay_and_the_time_left_are_at_hand_however_long_the_order(
    box_office: BoxOffice, visitors: Visitors, locale: str
) -> None:
    visit = await visitors("phone", viewport={"width": 360, "height": 640}, locale=locale)
    page = await enter(visit, await box_office.show())
    await page.locator("#count").select_option("10")
    await page.locator("#best button").tap()
    await page.locator("[data-continue]").tap()
    await Buyer(visit).see("to-pay")

    for path, name in (("", "to-pay"), ("?outcome=cancelled", "back"), ("", "scrolled")):
        await page.goto(page.url.partition("?")[0] + path)
        if name == "scrolled":
            await page.locator("#email").focus()
        for what in (page.locator("form[action$='/pay'] button"), page.locator(".time-left")):
            await expect(what).to_be_in_viewport(ratio=1)
        await visit.look(f"checkout-ten-{name}-{locale[:2]}")
    bar, field = await page.locator(".checkout-go").bounding_box(), await page.locator("#email").bounding_box()
    assert bar is not None
    assert field is not None
    assert field["y"] + field["height"] <= bar["y"]
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_a_double_tap_on_pay_pays_once(box_office: BoxOffice, phone: Visit, pages_pool: Pool) -> None:
    buyer = Buyer(phone)
    path = await buyer.book_best(await box_office.show())
    await buyer.page.get_by_role("button", name=re.compile("^Pay ₹")).dblclick()
    await expect(buyer.page).to_have_title(re.compile("Fake gateway"))
    await buyer.page.get_by_role("button", name=re.compile("^Pay ₹")).dblclick()
    await buyer.see("ticket")
    assert await pages_pool.fetchval("SELECT count(*) FROM payment WHERE booking_id = $1", path.split("/")[-1]) == 1


async def test_back_after_paying_shows_the_ticket_and_not_the_checkout(box_office: BoxOffice, desktop: Visit) -> None:
    buyer = Buyer(desktop)
    await buyer.book_best(await box_office.show())
    await buyer.pay()
    await buyer.see("ticket")
    await buyer.page.go_back()
    await buyer.see("ticket")
    assert not await buyer.page.get_by_role("button", name=re.compile("^Pay ₹")).count()


async def test_a_second_tab_learns_of_the_payment(box_office: BoxOffice, desktop: Visit) -> None:
    first = Buyer(desktop)
    path = await first.book_best(await box_office.show())
    second = Buyer(desktop, await desktop.new_page())
    await second.page.goto(desktop.url + path)
    await second.see("to-pay")
    await second.pay()
    await second.see("ticket")
    await first.page.bring_to_front()
    await first.see("ticket")


async def test_paid_too_late_is_told_kindly(box_office: BoxOffice, phone: Visit, pages_pool: Pool) -> None:
    buyer = Buyer(phone)
    show = await box_office.show()
    path = await buyer.book_best(show)
    booking_id = path.split("/")[-1]
    await buyer.press(re.compile("^Pay ₹"))
    await expect(buyer.page).to_have_title(re.compile("Fake gateway"))
    # While the buyer looks for their card, the time runs out and somebody else takes the seats.
    await make.lapse(pages_pool, show)
    async with httpx.AsyncClient(base_url=box_office.url) as client:
        quicker = await make.guest(client)
        seats = await pages_pool.fetch("SELECT seat_id FROM booking_seat WHERE booking_id = $1", booking_id)
        await make.booking(client, quicker, show, *(row["seat_id"] for row in seats))
    await buyer.press(re.compile("^Pay ₹"))

    await buyer.see("money-back")
    await expect(buyer.page.get_by_text("All of your money goes back to you by itself")).to_be_visible()
    await phone.look("paid-too-late", full=True)


async def test_time_runs_out_before_ones_eyes(box_office: BoxOffice, phone: Visit, pages_pool: Pool) -> None:
    buyer = Buyer(phone)
    path = await buyer.book_best(await box_office.show())
    await pages_pool.execute(
        "UPDATE booking SET expires_at = now() + interval '2 seconds' WHERE id = $1", path.split("/")[-1]
    )
    await buyer.page.reload()
    await buyer.see("expired")
    await phone.look("expired", full=True)
