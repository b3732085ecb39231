"""A person with a browser that has no engine: keeps cookies, sends forms back as the page had them, follows nothing."""

import html
import re
from typing import Any
from uuid import UUID

import httpx
import make

from boxoffice.accounts import Caller
from boxoffice.bookings.creation import make_booking
from boxoffice.seating.claims import SeatsWanted
from boxoffice.web.office import Office
from boxoffice.web.router import PAGE_ROUTES

HTML = {"Accept": "text/html,application/xhtml+xml"}
_PARAMETER = re.compile(r"\{\w+:\w+\}")
_SOME_ID = "6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001"


def addresses(method: str) -> list[str]:
    """Of every page that takes the method, with some value for each parameter."""
    found: set[str] = set()
    for handler in PAGE_ROUTES:
        if method in getattr(handler, "http_methods", ()):
            for path in handler.paths:
                found.add(_PARAMETER.sub(_SOME_ID, path))
    return sorted(found)


class Visitor:
    """One person: their cookies, and the page that they see."""

    def __init__(self, client: httpx.AsyncClient, office: Office) -> None:
        self._client = client
        self._office = office
        self._cookies = httpx.Cookies()
        self._csrf = ""
        self.caller: Caller | None = None
        self.page: httpx.Response

    async def become_guest(self) -> "Visitor":
        """With a session, as whoever has held a seat."""
        entry = await self._office.accounts.guest_in_browser()
        self._cookies.set("boxoffice", entry.token)
        self.caller = entry.caller
        return self

    def with_session(self, token: str) -> "Visitor":
        """With a cookie from wherever it may be."""
        self._cookies.set("boxoffice", token)
        return self

    @property
    def id(self) -> UUID:
        assert self.caller is not None
        return self.caller.user_id

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Look at a page."""
        return self._seen(await self._client.get(path, headers=self._headers() | headers))

    async def post(self, path: str, fields: dict[str, Any] | None = None) -> httpx.Response:
        """Send a form, with the token of the page seen last."""
        return self._seen(
            await self._client.post(path, data={"csrf": self._csrf} | (fields or {}), headers=self._headers())
        )

    def form(self, action: str) -> dict[str, Any]:
        """The hidden fields of a form of the page, as its button would send them."""
        found = re.search(rf'<form [^>]*method="post"[^>]*action="{action}".*?</form>', self.page.text, re.DOTALL)
        assert found is not None, f"no form for {action}"
        fields: dict[str, Any] = {}
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found[0]):
            fields.setdefault(name, []).append(html.unescape(value))
        return fields

    @property
    def text(self) -> str:
        """What a reader sees, roughly."""
        bare = re.sub(r"<(script|style|head|svg)\b.*?</\1>", " ", self.page.text, flags=re.DOTALL)
        return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare)))

    async def book(self, show: make.Show, *seats: UUID) -> str:
        """An unpaid booking; its id."""
        wanted = SeatsWanted(show_id=show.id, user_id=self.id, seat_ids=list(seats))
        made = await make_booking(
            self._office.claims, wanted, time_to_pay=self._office.settings.booking_expiry, key=None
        )
        return made.answer["id"]

    def _headers(self) -> dict[str, str]:
        return HTML | {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def _seen(self, page: httpx.Response) -> httpx.Response:
        self._client.cookies.clear()
        for line in page.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0;" not in line:
                self._cookies.set(name, value)
            elif name in self._cookies:
                self._cookies.delete(name)
        if token := re.search(r'<meta name="csrf" content="([^"]+)">', page.text):
            self._csrf = html.unescape(token[1])
        self.page = page
        return page
