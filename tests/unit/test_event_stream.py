"""A listener is served for as long as it listens and reads, and not a moment longer."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from litestar.types import Receive, Scope, Send

from boxoffice.seating.live import LiveEvent, Quiet, StartOver
from boxoffice.web.event_stream import EventStream

SOME = 5
NOBODY = cast("Scope", {"type": "http"})


class Listener:
    """The other end of a connection: reads at most so many pieces, and leaves when told."""

    def __init__(self, *, reads: int = 1000) -> None:
        self.read: list[bytes] = []
        self.leaving = asyncio.Event()
        self.read_some = asyncio.Event()
        self._reads = reads

    async def receive(self) -> Any:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            if len(self.read) >= self._reads:
                await asyncio.Event().wait()
            self.read.append(message["body"])
            if len(self.read) == SOME:
                self.read_some.set()


class Happenings:
    """A course of events; tells whether it was closed."""

    def __init__(self, *, last: int | None = None) -> None:
        self.closed = False
        self._last = last

    async def events(self) -> AsyncGenerator[LiveEvent]:
        version = 0
        try:
            while version != self._last:
                await asyncio.sleep(0)
                version += 1
                yield StartOver(version=version)
        finally:
            self.closed = True


async def serve(listener: Listener, happenings: Happenings, *, slow_reader_s: float = 10) -> None:
    stream = EventStream(Quiet(), happenings.events(), slow_reader_s=slow_reader_s)
    answer = stream.to_asgi_response()
    await answer(NOBODY, cast("Receive", listener.receive), cast("Send", listener.send))


async def test_all_that_happens_is_sent_in_order() -> None:
    listener, happenings = Listener(), Happenings(last=3)

    await serve(listener, happenings)

    assert listener.read[0].startswith(b"retry: 2000\r\n")
    assert Quiet().wire in listener.read[0]
    assert listener.read[1:] == [*(StartOver(version=version).wire for version in (1, 2, 3)), b""]
    assert happenings.closed


async def test_who_leaves_is_served_no_more() -> None:
    listener, happenings = Listener(), Happenings()
    serving = asyncio.create_task(serve(listener, happenings))
    await asyncio.wait_for(listener.read_some.wait(), 5)

    listener.leaving.set()
    await asyncio.wait_for(serving, 5)

    assert happenings.closed


async def test_who_does_not_read_is_let_go() -> None:
    listener, happenings = Listener(reads=3), Happenings()

    await asyncio.wait_for(serve(listener, happenings, slow_reader_s=0.05), 5)

    assert len(listener.read) == 3
    assert happenings.closed


async def test_a_failure_of_ours_is_not_swallowed() -> None:
    async def broken() -> AsyncGenerator[LiveEvent]:
        yield StartOver(version=1)
        raise ValueError("oh no")

    listener = Listener()
    answer = EventStream(Quiet(), broken(), slow_reader_s=10).to_asgi_response()

    with pytest.raises(ValueError, match="oh no"):
        await answer(NOBODY, cast("Receive", listener.receive), cast("Send", listener.send))
