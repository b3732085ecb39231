"""Bodies arrive in time, or are not waited for: who sends one byte by byte keeps nothing occupied for long."""

import asyncio
from typing import Any, Final, cast

from litestar.types import HTTPReceiveMessage, Receive

from boxoffice.errors import TooSlowError

LOOKS: Final = 10
"""How often, in the time that a body has, those that are waited for are looked through."""


class Patience:
    """Waits for the bodies of one process, each for ``seconds`` at most.

    One look at all that wait, a few times in that time, instead of a timer for each: nearly all bodies are there
    with the head of their request, and pay a microsecond where `asyncio.timeout` costs six.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        """Until when who may wait, by the loop's clock."""
        self._given_up: set[asyncio.Task[Any]] = set()
        self._looks = False

    def bounded(self, receive: Receive) -> Receive:
        """The same messages, of one request.

        What it returns raises `TooSlowError` when the body is not there in time, counted from when it was first asked
        for, and whenever it is asked again after that.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        whole = False

        async def receive_in_time() -> Any:
            nonlocal whole
            if whole:
                # What may come now is the end of the connection, which is no hurry.
                return await receive()
            if loop.time() > until:
                raise self._too_slow()
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._waiting[task] = until
            if not self._looks:
                self._looks = True
                loop.call_later(self._seconds / LOOKS, self._look, loop)
            try:
                message = cast("HTTPReceiveMessage", await receive())
            except asyncio.CancelledError:
                if task in self._given_up and not task.uncancel():
                    raise self._too_slow() from None
                raise
            finally:
                self._waiting.pop(task, None)
                self._given_up.discard(task)
            whole = message["type"] != "http.request" or not message["more_body"]
            return message

        return receive_in_time

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until in self._waiting.items():
            if until < now and task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        self._looks = bool(self._waiting)
        if self._looks:
            loop.call_later(self._seconds / LOOKS, self._look, loop)

    def _too_slow(self) -> TooSlowError:
        return TooSlowError(f"its body must arrive within {self._seconds:g} s")
