"""Bodies arrive in time, or are not waited for: who sends one byte by byte keeps nothing occupied for long.

Nor does it count as inside meanwhile (`boxoffice.web.admission`): slow senders, however many, get nobody refused.
"""

import asyncio
from typing import Any, Final, NamedTuple, cast

from litestar.types import HTTPReceiveMessage, Receive

from boxoffice.errors import TooSlowError
from boxoffice.web.lanes import Stay

LOOKS: Final = 10
"""How often, in the time that a body has, those that are waited for are looked through."""
LOOK_EVERY_S: Final = 1.0
"""But at least so often. Whoever is waited for then is counted as inside no longer."""


class _Wait(NamedTuple):
    """For a body: until when, by the loop's clock, and whose stay."""

    until: float
    stay: Stay


class Patience:
    """Waits for the bodies of one process, each for ``seconds`` at most.

    One look at all that wait, a few times in that time, instead of a timer for each: nearly all bodies are there
    with the head of their request, and pay a microsecond where `asyncio.timeout` costs six.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._look_every_s = min(seconds / LOOKS, LOOK_EVERY_S)
        self._waiting: dict[asyncio.Task[Any], _Wait] = {}
        self._given_up: set[asyncio.Task[Any]] = set()
        self._looks = False

    def bounded(self, receive: Receive, stay: Stay) -> Receive:
        """The same messages, of one request, whose ``stay`` it is.

        What it returns raises `TooSlowError` when the body is not there in time, counted from when it was first asked
        for, and whenever it is asked again after that; `OverloadedError` when the body was slow, and there are too many
        inside when it has come.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        wait = _Wait(until, stay)
        whole = False

        async def receive_in_time() -> Any:
            nonlocal whole
            if whole:
                # What may come now is the end of the connection, which is no hurry.
                return await receive()
            if loop.time() > until:
                raise self._too_slow()
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._waiting[task] = wait
            if not self._looks:
                self._looks = True
                loop.call_later(self._look_every_s, self._look, loop)
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
            if whole:
                stay.go_on()
            return message

        return receive_in_time

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, (until, stay) in self._waiting.items():
            stay.step_aside()
            if until < now and task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        self._looks = bool(self._waiting)
        if self._looks:
            loop.call_later(self._look_every_s, self._look, loop)

    def _too_slow(self) -> TooSlowError:
        return TooSlowError(f"its body must arrive within {self._seconds:g} s")
