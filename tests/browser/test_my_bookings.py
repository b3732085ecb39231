"""My bookings and giving seats back in a real browser: what would come back follows the ticks, then comes."""

import re
from datetime import timedelta

import make
import pytest
from playwright.async_api import expect

from boxoffice.postgres.pool import Pool
from browser.box_office import BoxOffice
from browser.buying import Buyer
from browser.conftest import Visitors
from browser.visits import Device, Visit


@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_giving_a_seat_back_and_then_the_other(
    box_office: BoxOffice, visitors: Visitors, pages_pool: Pool, device: Device
) -> None:
    visit = await visitors(device)
    buyer = Buyer(visit)
    show = await box_office.show()
    await buyer.book_best(show)
    await buyer.pay()
    await buyer.see("ticket")
    await make.start_in(pages_pool, show, timedelta(hours=5))

    await buyer.press("Give seats back", role="link")
    offer = buyer.page.locator("#offer")
    await expect(offer).to_contain_text("You get back ₹450")
    await visit.look("refund", full=True)
    first = buyer.page.get_by_role("checkbox").first
    await buyer.tap(first)
    await expect(offer).to_contain_text("You get back ₹225")
    await buyer.press("Give it back for ₹225")

    await buyer.see("ticket")
    await expect(buyer.page.locator("svg.qr")).to_have_count(1)
    await expect(buyer.page.get_by_text(re.compile("was given back"))).to_be_visible()
    await visit.look("ticket-partly-refunded", full=True)

    await buyer.press("Give seats back", role="link")
    await buyer.press("Give it back for ₹225")
    await buyer.see("refunded")
    await visit.look("refunded", full=True)


async def test_the_tickets_are_mailed_to_an_address_that_is_put_right(box_office: BoxOffice, phone: Visit) -> None:
    buyer = Buyer(phone)
    show = await box_office.show()
    await buyer.book_best(show)
    await buyer.pay()
    await buyer.see("ticket")
    for said, email in (
        ("Have them sent by e-mail, too", "asah@example.com"),
        ("They also go to asah@example.com", "asha@example.com"),
    ):
        await buyer.tap(buyer.page.get_by_text(said))
        await buyer.page.get_by_label("E-mail for the tickets").fill(email)
        await phone.look("ticket-by-mail", full=True)
        await buyer.press("Send them there")
    await expect(buyer.page.get_by_text("They also go to asha@example.com")).to_be_visible()


async def test_giving_back_without_javascript(box_office: BoxOffice, visitors: Visitors) -> None:
    visit = await visitors("phone", java_script_enabled=False)
    buyer = Buyer(visit)
    show = await box_office.show()
    await buyer.page.goto(f"{visit.url}/shows/{show.id}?view=list")
    for seat in (0, 1):
        await buyer.page.get_by_role("checkbox").nth(seat).check()
    await buyer.press(re.compile("Book|Continue"))
    await buyer.pay()
    await buyer.press("Back to the box office", role="link")
    await buyer.see("ticket")
    await buyer.press("Give seats back", role="link")
    await buyer.page.get_by_role("checkbox").first.uncheck()
    await buyer.press("Show what comes back")
    await buyer.press(re.compile("^Give it back for"))
    await buyer.see("ticket")
    await expect(buyer.page.locator("svg.qr")).to_have_count(1)


@pytest.mark.parametrize("device", ["phone", "desktop"])
async def test_my_bookings_ahead_and_over(box_office: BoxOffice, visitors: Visitors, device: Device) -> None:
    visit = await visitors(device)
    buyer = Buyer(visit)
    await buyer.page.goto(f"{visit.url}/bookings")
    await visit.look("bookings-none", full=True)
    await buyer.book_best(await box_office.show())
    await buyer.pay()
    await buyer.see("ticket")
    await buyer.book_best(await box_office.show())
    await buyer.page.goto(f"{visit.url}/bookings")
    await expect(buyer.page.get_by_text("Not paid yet")).to_be_visible()
    await visit.look("bookings", full=True)
    await buyer.press("Cancel")
    await buyer.see("cancelled")
    await buyer.press("My bookings", role="link")
    await expect(buyer.page.get_by_role("heading", level=2)).to_have_count(1)
    await buyer.press("Past", role="link")
    await expect(buyer.page.get_by_text("Cancelled")).to_be_visible()
    await visit.look("bookings-past", full=True)


async def test_by_night(box_office: BoxOffice, visitors: Visitors) -> None:
    """Every page of a purchase in the dark scheme: looked at, and held against axe's contrasts."""
    visit = await visitors("phone", color_scheme="dark")
    buyer = Buyer(visit)
    await buyer.book_best(await box_office.show())
    await visit.look("checkout-dark", full=True)
    await buyer.press(re.compile("^Pay ₹"))
    await expect(buyer.page).to_have_title(re.compile("Fake gateway"))
    await visit.look("gateway-dark")
    await buyer.press("Decline")
    await buyer.see("declined")
    await visit.look("declined-dark", full=True)
    await buyer.pay()
    await buyer.see("ticket")
    await visit.look("ticket-dark", full=True)
    await buyer.press("Give seats back", role="link")
    await visit.look("refund-dark", full=True)
    await buyer.page.goto(f"{visit.url}/bookings")
    await visit.look("bookings-dark", full=True)


async def test_in_hindi(box_office: BoxOffice, visitors: Visitors) -> None:
    visit = await visitors("phone", viewport={"width": 360, "height": 740})
    buyer = Buyer(visit)
    path = await buyer.book_best(await box_office.show())
    await buyer.press("हिन्दी")
    await expect(buyer.page.locator("html")).to_have_attribute("lang", "hi")
    await buyer.see("to-pay")
    await expect(buyer.page.get_by_role("button", name="₹900")).to_be_visible()
    await visit.look("checkout-hindi", full=True)
    await buyer.tap(buyer.page.get_by_role("button", name="₹900"))
    await buyer.press(re.compile("^Pay ₹"))
    await buyer.see("ticket")
    await visit.look("ticket-hindi", full=True)
    for name, address in (("refund", f"{path}/refund"), ("bookings", "/bookings")):
        await visit.goto(address)
        await visit.look(f"{name}-hindi", full=True)
        assert await buyer.page.evaluate("document.documentElement.scrollWidth") <= 360, address


async def test_nothing_is_wider_than_a_small_phone(box_office: BoxOffice, visitors: Visitors) -> None:
    visit = await visitors("phone", viewport={"width": 360, "height": 640})
    buyer = Buyer(visit)
    await buyer.book_best(await box_office.show())
    pages = [buyer.page.url]
    await buyer.pay()
    await buyer.see("ticket")
    pages += [buyer.page.url, f"{buyer.page.url.partition('?')[0]}/refund", f"{visit.url}/bookings"]
    for address in pages:
        await buyer.page.goto(address)
        assert await buyer.page.evaluate("document.documentElement.scrollWidth") <= 360, address
        small = await buyer.page.evaluate(
            """() => [...document.querySelectorAll("main .button, main label.pick")]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
                .map((one) => one.textContent.trim())"""
        )
        assert small == [], address


async def test_a_stranger_sees_that_there_is_no_such_booking(box_office: BoxOffice, visitors: Visitors) -> None:
    buyer, stranger = Buyer(await visitors("desktop")), await visitors("phone")
    path = await buyer.book_best(await box_office.show())
    stranger.allow("404")
    answer = await stranger.page.goto(stranger.url + path)
    assert answer is not None
    assert answer.status == 404
    await stranger.look("booking-not-found", full=True)


async def test_the_ticket_is_there_without_a_network(box_office: BoxOffice, phone: Visit) -> None:
    """What is on the screen stays: nothing of it is fetched later."""
    buyer = Buyer(phone)
    await buyer.book_best(await box_office.show())
    await buyer.pay()
    await buyer.see("ticket")
    await phone.context.set_offline(offline=True)
    await buyer.page.wait_for_timeout(300)
    await expect(buyer.page.locator("svg.qr").first).to_be_visible()
    await phone.context.set_offline(offline=False)
