"""What buyers do on the pages, in the words of the tests; each tap is counted."""

import re
from typing import Final

import make
from playwright.async_api import Locator, Page, expect

from browser.visits import Visit

TICKET: Final = re.compile(r"/bookings/[0-9a-f-]{36}")


class Buyer:
    """Somebody at a page: taps with a finger where there is a touch screen, clicks else."""

    def __init__(self, visit: Visit, page: Page | None = None) -> None:
        self.visit = visit
        self.page = page or visit.page
        self.taps = 0

    async def tap(self, what: Locator) -> None:
        """Press something."""
        self.taps += 1
        if self.visit.device == "phone":
            await what.tap()
        else:
            await what.click()

    async def press(self, name: str | re.Pattern[str], *, role: str = "button") -> None:
        """Press the button (or link) of that name."""
        await self.tap(self.page.get_by_role(role, name=name).first)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (a role)

    async def book_best(self, show: make.Show) -> str:
        """Two seats together; the path of the booking's page, which is seen then."""
        await self.page.goto(f"{self.visit.url}/shows/{show.id}")
        await self.press("Best 2 together")
        await self.press("Continue")
        await self.see("to-pay")
        found = TICKET.search(self.page.url)
        assert found is not None
        return found[0]

    async def pay(self) -> None:
        """From checkout to the gateway's page, and Pay there."""
        await self.press(re.compile("[Pp]ay ₹"))
        await expect(self.page).to_have_title(re.compile("Fake gateway"))
        await self.press(re.compile("^Pay ₹"))

    async def decline(self) -> None:
        """From checkout to the gateway's page, and Decline there."""
        await self.press(re.compile("[Pp]ay ₹"))
        await self.press("Decline")

    async def see(self, stage: str) -> None:
        """Wait until the booking's page shows this stage."""
        await expect(self.page.locator(f'[data-stage="{stage}"]')).to_be_visible()
