"""A gateway as somebody else's system: a port that may be closed, answers slow or lost, events at their leisure.

What it says is one of our doubles' (`tests/stripe_double.py`, `tests/razorpay_double.py`), over real HTTP, asked by the
real adapter.
"""

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import httpx

LOST_RATE: Final = 0.1
"""Of 1: how many requests are carried out and get no answer."""
TWICE_RATE: Final = 0.3
LATE_S_MAX: Final = 3.0
"""Each event waits a random time up to this, so that later ones overtake."""
AGAIN_S: Final = (0.5, 4.0)
"""The pause before an event that nobody took is sent again."""


class Double(Protocol):
    """What answers, and what it has to tell."""

    events: list[dict[str, Any]]

    def answer(self, request: httpx.Request) -> httpx.Response: ...


class GatewayHouse(ABC):
    """Listens on a port of its own; tells the box office at ``office_url`` what happens."""

    name: str
    """As in settings."""

    def __init__(self, office_url: str, rng: random.Random, double: Double) -> None:
        self.slow_s = 0.0
        """Each answer takes up to this longer."""
        self.lost = 0
        self.port = 0
        self._double = double
        self._hook = f"{office_url}/api/v1/payments/webhook/{self.name}"
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)
        self._told = 0
        self._herald: asyncio.Task[None] | None = None

    @property
    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What makes the box office use it."""

    @abstractmethod
    def decide(self, session_id: str, result: str) -> bool:
        """As `crowd.Page`."""

    @abstractmethod
    def opened(self) -> set[str]:
        """Every session that there ever was."""

    @abstractmethod
    def undecided(self) -> int:
        """How often money is set aside, neither taken nor let go."""

    @abstractmethod
    def taken(self) -> dict[str, int]:
        """By session, in minor units."""

    @abstractmethod
    def given_back(self) -> dict[str, int]:
        """By session, in minor units."""

    @abstractmethod
    def signed(self, body: bytes) -> Mapping[str, str]:
        """The headers that make an event its own."""

    async def open(self) -> None:
        """Answer, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        if self._herald is None:
            self._herald = asyncio.create_task(self._tell_all())

    async def close(self) -> None:
        """Be down: nobody listens, and whoever waits for an answer is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._answering.values():
            writer.transport.abort()

    async def end(self) -> None:
        await self.close()
        tasks = [*self._answering, *self._telling, *([self._herald] if self._herald else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def reached(self) -> bool:
        """As `crowd.Page`."""
        return self._server is not None

    def untold(self) -> int:
        """Events that the box office has not taken."""
        return len(self._double.events) - self._told + len(self._telling)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._answering[task] = writer
        task.add_done_callback(self._answering.pop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            await asyncio.sleep(self._rng.uniform(0, self.slow_s))
            answer = self._double.answer(request)
            if self._rng.random() < LOST_RATE:
                self.lost += 1
                writer.transport.abort()
                return
            head = f"HTTP/1.1 {answer.status_code} Said\r\nContent-Length: {len(answer.content)}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + answer.content)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            # Who asked has gone, or we are down.
            writer.transport.abort()
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    async def _tell_all(self) -> None:
        while True:
            while self._told < len(self._double.events):
                event = self._double.events[self._told]
                for _ in range(2 if self._rng.random() < TWICE_RATE else 1):
                    task = asyncio.create_task(self._tell(event))
                    self._telling.add(task)
                    task.add_done_callback(self._telling.discard)
                self._told += 1
            await asyncio.sleep(0.05)

    async def _tell(self, event: dict[str, Any]) -> None:
        """One event, late, until it is taken; from a gateway that is down nothing comes."""
        body = json.dumps(event).encode()
        await asyncio.sleep(self._rng.uniform(0, LATE_S_MAX))
        while True:
            with suppress(httpx.HTTPError):
                # Signed anew: a signature that has a date would grow old.
                if self.reached() and (await self._post(body, self.signed(body))).is_success:
                    return
            await asyncio.sleep(self._rng.uniform(*AGAIN_S))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        return await self._http.post(self._hook, content=body, headers=headers)


async def _read(reader: asyncio.StreamReader) -> httpx.Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, target, _ = head.split(" ", 2)
    fields = (line.partition(": ") for line in head.splitlines()[1:] if line)
    headers = {name.lower(): value for name, _, value in fields}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return httpx.Request(method, f"http://gateway.test{target}", headers=headers, content=body)
