"""Buyers who do what buyers do while things break, and write down all that they asked and were told."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast
from uuid import UUID

import httpx

PATIENCE_S: Final = 30.0
"""How long a buyer repeats a request of unknown outcome before they go on; it is settled by its key at the end."""
ANSWER_WITHIN_S: Final = 8.0
LATE_S: Final = 4.0
"""Past a booking's time to pay, which the run sets to less."""


@dataclass
class Said:
    """What came back; ``status`` 0: nothing."""

    status: int
    body: Any


class History:
    """One JSON line for each request: what was asked, under which key, and what was told."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self.began = time.monotonic()
        self.lines: list[dict[str, Any]] = []

    def now(self) -> float:
        return round(time.monotonic() - self.began, 4)

    def write(self, **line: Any) -> None:
        self.lines.append(line)
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()


class Page(Protocol):
    """A gateway's own page, away from the box office."""

    def reached(self) -> bool:
        """Whether anybody can get to it now."""
        ...

    def decide(self, session_id: str, result: str) -> bool:
        """Pay (``success``) or be declined (``failed``); False: it is too late for that."""
        ...


class Buyer:
    """One buyer; everything that they choose comes from ``rng``. Without a ``page`` the box office simulates one."""

    def __init__(
        self,
        name: str,
        url: str,
        shows: dict[UUID, list[UUID]],
        history: History,
        rng: random.Random,
        page: Page | None = None,
    ) -> None:
        self.name = name
        self._shows = shows
        self._history = history
        self._rng = rng
        self._page = page
        self._http = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=ANSWER_WITHIN_S, trust_env=False)
        self._keys = 0
        self._closing_time = False
        self.id = ""

    def stop(self) -> None:
        """Begin nothing new; what is under way is heard, or is of unknown outcome."""
        self._closing_time = True

    async def close(self) -> None:
        await self._http.aclose()

    async def arrive(self) -> None:
        """Become a guest."""
        while not self.id and not self._closing_time:
            said = await self.ask("guest", "POST", "/auth/guest")
            if said.status == 201:
                self.id = said.body["userId"]
                self._http.headers["Authorization"] = f"Bearer {said.body['accessToken']}"

    async def live(self) -> None:
        """Buy until told to stop, one thing after the other."""
        await self.arrive()
        while not self._closing_time:
            await self._buy()
            await asyncio.sleep(self._rng.uniform(0, 0.2))

    async def _buy(self) -> None:
        show = self._rng.choice(list(self._shows))
        seats = [str(seat) for seat in self._rng.sample(self._shows[show], self._rng.randint(1, 3))]
        wanted = {"showId": str(show), "showSeatIds": seats}
        if self._rng.random() < 0.2:
            await self.ask("hold", "POST", "/bookings/hold-seats", wanted, keyed=True)
        booked = await self.surely("book", "POST", "/bookings", wanted)
        if booked.status != 201:
            return
        booking = booked.body["id"]
        match self._rng.choices(["pay", "decline", "late", "cancel", "leave"], [50, 15, 15, 10, 10])[0]:
            case "cancel":
                await self.surely("cancel", "PATCH", f"/bookings/{booking}/cancel")
            case "leave":
                return
            case how:
                await self._pay(booking, how)

    async def _pay(self, booking: str, how: str) -> None:
        opened = await self.surely("open", "POST", "/payments/initiate", {"bookingId": booking})
        if opened.status != 201:
            return
        session = opened.body["sessionId"]
        if how == "late":
            await asyncio.sleep(LATE_S)
        decided = await self._decide(session, "failed" if how == "decline" else "success")
        if how == "decline":
            await self._pay(booking, "pay")
        elif decided and self._rng.random() < 0.3:
            # What is paid elsewhere is confirmed when its event has come.
            await asyncio.sleep(self._rng.uniform(0, 3) if self._page is None else self._rng.uniform(3, 8))
            await self.surely("refund", "POST", f"/payments/refund/{booking}", {})

    async def _decide(self, session: str, result: str) -> bool:
        if self._page is None:
            said = await self.surely("pay", "POST", f"/payments/simulate/{session}", {"result": result})
            return said.status < 300
        while not self._page.reached():
            if self._closing_time:
                return False
            await asyncio.sleep(0.2)
        done = self._page.decide(session, result)
        now = self._history.now()
        about = {"buyer": self.name, "user": self.id, "what": "elsewhere", "key": None, "path": session}
        self._history.write(**about, asked_at=now, told_at=now, status=200 if done else 409, told={"result": result})
        return done

    async def surely(self, what: str, method: str, path: str, body: Any = None) -> Said:
        """Ask until there is an answer, always under the same key; past one's patience it stays unknown."""
        key, given_up_at = self._next_key(), time.monotonic() + PATIENCE_S
        while True:
            said = await self.ask(what, method, path, body, key=key)
            if 200 <= said.status < 500 and said.status != 429:
                return said
            if self._closing_time or time.monotonic() > given_up_at:
                return said
            await asyncio.sleep(self._rng.uniform(0.2, 0.6))

    def _next_key(self) -> str:
        self._keys += 1
        return f"{self.name}-{self._keys}"

    async def ask(
        self, what: str, method: str, path: str, body: Any = None, *, keyed: bool = False, key: str | None = None
    ) -> Said:
        key = self._next_key() if keyed else key
        asked_at = self._history.now()
        try:
            answer = await self._http.request(
                method, path, json=body, headers={} if key is None else {"Idempotency-Key": key}
            )
            said = Said(answer.status_code, answer.json() if answer.content else None)
        except (httpx.HTTPError, ValueError):
            said = Said(0, None)
        self._history.write(
            buyer=self.name,
            user=self.id,
            what=what,
            key=key,
            method=method,
            path=path,
            body=body,
            asked_at=asked_at,
            told_at=self._history.now(),
            status=said.status,
            told=_short(said.body),
        )
        return said


def _short(body: Any) -> Any:
    kept = ("id", "userId", "sessionId", "refundId", "refundAmount", "totalAmount", "status", "code")
    if not isinstance(body, dict):
        return None
    members = cast("dict[str, Any]", body)
    return {name: members[name] for name in kept if name in members}
