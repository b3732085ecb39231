"""Who gets a connection next: whoever began first, and not whoever asked first.

A request may need a connection several times. In the order of asking, it would stand behind the newest arrivals each
time, and wait as often as it asks; in the order of beginning it waits once.
"""

import asyncio
import time
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count
from typing import Final

_BEGAN: Final[ContextVar[float]] = ContextVar("began")


def begin() -> None:
    """What the present task does from now on, with all tasks that it makes, is one piece of work."""
    _BEGAN.set(time.monotonic())


class Turns:
    """Turns of so ``many`` at once; work that never said when it began counts as beginning with each turn it takes."""

    def __init__(self, many: int) -> None:
        self.free = many
        """How many can be had at once; none while somebody waits."""
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    async def take(self, within_s: float) -> None:
        """Wait for a turn; whoever has one gives it back.

        Raises:
            TimeoutError: none came in time.
        """
        if self.free:
            self.free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (_BEGAN.get(None) or time.monotonic(), next(self._numbers), turn))
        try:
            async with asyncio.timeout(within_s):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it came at the very moment of giving up
                self.give_back()
            raise

    def give_back(self) -> None:
        """The next one's turn."""
        while self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
