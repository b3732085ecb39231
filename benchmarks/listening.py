"""Listeners of live seats: how long after its commit a hold has arrived at every one of them.

The time of a hold is the one that the database gave it (`expiresAt` less the length of a hold:
the start of its transaction, so a little before its commit), read by the same machine's clock.
"""

import asyncio
import time
from array import array
from collections.abc import Callable, Generator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Final, cast

import msgspec

from benchmarks.connections import CONNECTING_MAX, Connection
from benchmarks.http1 import AnswerReader, ProtocolError, encode
from benchmarks.plans import Listen, LoadReport
from benchmarks.scripts import Ask, Got
from benchmarks.tally import Tally, Usage

FIRST_EVENT_WITHIN_S: Final = 30.0
ARRIVED: Final = 200
"""The status that an update which arrived is counted under."""
_CREATED: Final = 201

Arrivals = dict[str, "array[float]"]
"""When each seat's change came, by the wall clock, for each listener that it came to."""


async def listen(plan: Listen, wait_for_go: Callable[[], None]) -> LoadReport:
    """Listen on all connections, hold the seats, and wait for what is to come."""
    tally = Tally()
    arrivals: Arrivals = {}
    request = encode("GET", plan.path, host=f"{plan.host}:{plan.port}", headers={"Accept": "text/event-stream"})
    listeners = [Listener(request, arrivals) for _ in range(plan.connections)]
    waiting = iter(listeners)
    while batch := list(islice(waiting, CONNECTING_MAX)):
        await asyncio.gather(*(one.open(plan.host, plan.port) for one in batch))
        await asyncio.wait([one.began for one in batch], timeout=FIRST_EVENT_WITHIN_S)
    buyer = Connection(tally)
    await buyer.open(plan.host, plan.port)
    wait_for_go()
    usage = Usage()
    taken_at: dict[str, float] = {}
    for hold in plan.holds:
        await buyer.start(_hold(hold, taken_at))
        await asyncio.sleep(plan.pause_s)
    await _arrived(plan, arrivals, taken_at)
    for seat, at in taken_at.items():
        for came_at in arrivals.get(seat, ()):
            tally.add("update", ARRIVED, came_at - at)
    missing = len(listeners) * len(plan.holds) - sum(len(arrivals.get(seat, ())) for seat in taken_at)
    if missing:
        tally.failures["update did not arrive"] = missing
    report = usage.report(tally, until=time.perf_counter())
    for one in (*listeners, buyer):
        one.close()
    return report


async def _arrived(plan: Listen, arrivals: Arrivals, taken_at: dict[str, float]) -> None:
    deadline = time.monotonic() + plan.grace_s
    while time.monotonic() < deadline:
        if all(len(arrivals.get(seat, ())) == plan.connections for seat in taken_at):
            return
        await asyncio.sleep(0.05)


class _HeldSeat(msgspec.Struct, rename="camel"):
    seat_id: str
    expires_at: datetime


class _Held(msgspec.Struct, rename="camel"):
    holds: list[_HeldSeat]
    expires_in: float


def _hold(request: bytes, taken_at: dict[str, float]) -> Generator[Ask, Got, None]:
    got = yield Ask("hold", request, wants_body=True)
    if got.status == _CREATED:
        held = msgspec.json.decode(got.body, type=_Held)
        for seat in held.holds:
            taken_at[seat.seat_id] = seat.expires_at.timestamp() - held.expires_in


class Listener(asyncio.Protocol):
    """One listener, for as long as its connection lasts."""

    def __init__(self, request: bytes, arrivals: Arrivals) -> None:
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the first event, or when there will be none."""
        self._request = request
        self._arrivals = arrivals
        self._reader = AnswerReader()
        self._reader.on_body = self._read
        self._transport: asyncio.Transport | None = None
        self._text = b""

    async def open(self, host: str, port: int) -> None:
        """Connect, and begin to listen."""
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the events."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read; whatever is no event stream ends here, and what does not arrive counts as missing."""
        try:
            ended = self._reader.feed(data)
        except ProtocolError:
            self.close()
        else:
            if ended is not None:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (the protocol's signature)
        """There will be no first event, if there was none."""
        if not self.began.done():
            self.began.set_result(None)

    def _read(self, piece: bytes) -> None:
        text = (self._text + piece).replace(b"\r\n", b"\n")
        *events, self._text = text.split(b"\n\n")
        for event in events:
            if not self.began.done():
                self.began.set_result(None)
            now = time.time()
            for seat in seats_held(event):
                came = self._arrivals.get(seat)
                if came is None:
                    came = self._arrivals[seat] = array("d")
                came.append(now)


class _Change(msgspec.Struct):
    id: str
    status: str


class _Changes(msgspec.Struct):
    changes: list[_Change] = []


# All listeners are sent the same bytes: read once, they cost the client little.
@lru_cache(maxsize=256)
def seats_held(event: bytes) -> tuple[str, ...]:
    """The seats that an event says are held now."""
    lines = event.split(b"\n")
    if b"event: seats" not in lines:
        return ()
    data = b"\n".join(line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))
    return tuple(change.id for change in msgspec.json.decode(data, type=_Changes).changes if change.status == "held")
