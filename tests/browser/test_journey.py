"""The whole way, from the front page to tickets with their codes, on a phone: few taps and little time."""

import re
import time

from playwright.async_api import expect

from browser.buying import Buyer
from browser.visits import Visit

TAPS_MAX = 9
SECONDS_MAX = 60


async def test_from_the_front_page_to_the_tickets_in_under_ten_taps_and_a_minute(phone: Visit) -> None:
    buyer = Buyer(phone)
    began = time.monotonic()
    await phone.goto("/")
    await buyer.press("Tomorrow", role="link")
    await buyer.press(re.compile("Plenty of seats"), role="link")
    await buyer.press("Best 2 together")
    await buyer.press("Continue")
    await buyer.pay()
    await buyer.see("ticket")
    await expect(buyer.page.locator("svg.qr")).to_have_count(2)

    assert buyer.taps <= TAPS_MAX, buyer.taps
    assert time.monotonic() - began < SECONDS_MAX
    await phone.look("journey-ticket")
