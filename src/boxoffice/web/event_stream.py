"""Server-Sent Events (WHATWG HTML, section 9.2) to one listener, for as long as somebody reads them.

Two tasks a listener, which thousands of them can afford: one sends, one hears that the connection is gone. Who does not
take what is sent is let go, so that a connection that nobody reads holds on to nothing.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from boxoffice.seating.live import LiveEvent

RETRY: Final = b"retry: 2000\r\n"
"""Milliseconds after which a client comes back when the connection breaks."""
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response[str]):
    """``first``, then all of ``events``, which are closed with the connection.

    A reader who takes nothing for ``slow_reader_s`` is let go. By then the kernel's buffers are full, too: some
    megabytes, where an event has a hundred bytes.
    """

    def __init__(self, first: LiveEvent, events: AsyncGenerator[LiveEvent], *, slow_reader_s: float) -> None:  # pyright: ignore[reportMissingSuperCall]  (what the framework would set is not used)
        self._first = first
        self._events = events
        self._slow_reader_s = slow_reader_s

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # pyright: ignore[reportIncompatibleMethodOverride]  (all that the framework does with it is to call it)
        """Itself."""
        return self._serve

    async def _serve(self, _scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            ended = await asyncio.gather(sending, leaving, return_exceptions=True)
        for end in ended:
            # A reader that is gone or too slow is no failure of ours; all else is.
            if isinstance(end, Exception) and not isinstance(end, OSError):
                raise end

    async def _send(self, send: Send) -> None:
        # Closed with the connection, so that a show that nobody watches any more is not looked at.
        async with aclosing(self._events) as events:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._write(send, RETRY + self._first.wire)
            async for event in events:
                await self._write(send, event.wire)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send, data: bytes) -> None:
        async with asyncio.timeout(self._slow_reader_s):
            await send({"type": "http.response.body", "body": data, "more_body": True})


async def _left(receive: Receive) -> None:
    """Return when the other side has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
