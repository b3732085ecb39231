"""Who is inside: requests that wait for the same thing, how many of which kind may do so, and how long one counts."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec
from litestar.types import Message, Send

from boxoffice.seating.group_commit import OverloadedError

INSIDE_MAX: Final = 4_096
"""Of a lane, however quick it is."""


class Kind(Enum):
    """What a request is after; in the order in which they are refused."""

    LOOKING = "looking"
    """Lists and pages."""
    CHOOSING = "choosing"
    """Seat maps that have to be read, and advice."""
    HOLDING = "holding"
    BOOKING = "booking"
    """Before new holds: most who book have held."""
    FINISHING = "finishing"
    """Paying, and all that one does with a booking, from finding it on; gateways' webhooks; staff at the door."""
    NEVER = "never"
    """Health and metrics: whoever looks after the service must see it most when it is overloaded."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """How many may be inside a lane for one more of a kind to come in."""

    least: int
    """Fewer are no overload, however slow the machine: what a house with 500 buyers at once brings to each of two
    processes, among which chance divides them."""
    wait_s: float
    """Nor are as many as will be served within this time, as quickly as they have been lately."""
    allowance: int = 0
    """So many may come in beyond that, once: it is there again when the lane has emptied to a quarter of ``least``."""


class Lane:
    """Requests that wait for the same thing."""

    def __init__(self, bounds: Mapping[Kind, Bound]) -> None:
        self.inside = 0
        self.rate = 0.0
        """How many were served a second, in the last whole window."""
        self._served = 0
        self._bounds = bounds
        self._allowances = {kind: bound.allowance for kind, bound in bounds.items()}

    def is_short(self, kind: Kind, coming: int = 0) -> bool:
        """Whether so few are inside, beside those who are ``coming``, that there is nothing to think about."""
        bound = self._bounds.get(kind)
        return bound is None or self.inside + coming < bound.least

    def has_room(self, kind: Kind, coming: int = 0) -> bool:
        """Whether one more of this kind may come in, beside those who are ``coming``; yes may cost some allowance."""
        if self.is_short(kind, coming):
            return True
        bound, inside = self._bounds[kind], self.inside + coming
        if inside >= INSIDE_MAX:
            return False
        if inside < self.rate * bound.wait_s:
            return True
        if self._allowances[kind] > 0:
            self._allowances[kind] -= 1
            return True
        return False

    def enter(self) -> None:
        """One more is inside."""
        self.inside += 1

    def step_out(self) -> None:
        """One is not inside for now, and was not served."""
        self.inside -= 1

    def leave(self) -> None:
        """One was served, well or not."""
        self.inside -= 1
        self._served += 1
        for each, bound in self._bounds.items():
            if self.inside * 4 <= bound.least:
                self._allowances[each] = bound.allowance

    def roll(self, seconds: float) -> None:
        """A window is over, which was so long."""
        self.rate, self._served = self._served / seconds, 0


class Stay:
    """A request that was let in, for as long as it is inside."""

    def __init__(self, lane: Lane, kind: Kind) -> None:
        self._lane: Lane | None = lane
        self._kind = kind
        self._aside = False
        lane.enter()

    def step_aside(self) -> None:
        """It takes its sender long, and is in nobody's way meanwhile; to say so again does nothing."""
        if self._lane is not None and not self._aside:
            self._aside = True
            self._lane.step_out()

    def go_on(self) -> None:
        """It is there now; does nothing for one that was not aside.

        Raises:
            OverloadedError: too many are inside by now.
        """
        if self._lane is None or not self._aside:
            return
        if not self._lane.has_room(self._kind):
            raise OverloadedError("try again shortly")
        self._aside = False
        self._lane.enter()

    def end(self) -> None:
        """It was served, well or not; to say so again does nothing."""
        if self._lane is not None:
            if not self._aside:
                self._lane.leave()
            self._lane = None

    def until_answered(self, send: Send) -> Send:
        """``send``, by which the stay ends as the answer begins: to send it takes as long as its reader likes."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.end()
            await send(message)

        return sending
