"""Group commit: the requests that arrive while one statement runs go together into the next.

Under load the cost of the database is a transaction's, not a request's; so requests share one.
Nothing waits for a timer: a lone request goes at once, and the more there are, the larger the
batches grow by themselves. First come, first served.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from boxoffice.errors import UnavailableError

BATCH_MAX: Final = 64
"""Requests a statement: beyond, nothing is gained, and locks last longer."""
WAITING_MAX: Final = 4096
"""Requests that may wait in one process: about two seconds' work. Past it, 503 at once instead of a time-out."""
TURNS_MAX: Final = 200
"""How often a request may come again before it is told to come later."""

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


class OverloadedError(UnavailableError):
    """More requests than can be served; try again shortly."""

    code = "overloaded"


@dataclass(eq=False, slots=True)
class _Waiting(Generic[RequestT, AnswerT]):
    request: RequestT
    answer: "asyncio.Future[AnswerT]"
    turns: int = field(default=0)


class GroupCommit(Generic[RequestT, AnswerT]):
    """Runs requests in batches, one batch at a time.

    ``run`` takes a batch and returns an answer for each request in order; None means that the request
    must come again (at the head of the next batch). Where it raises, the batch is run one by one, so
    that a request which cannot be done harms no other. ``apart`` names what two requests of one batch
    may not share (None: nothing).
    """

    def __init__(
        self,
        run: Callable[[Sequence[RequestT]], Awaitable[Sequence[AnswerT | None]]],
        *,
        apart: Callable[[RequestT], Hashable | None] = lambda _: None,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._run = run
        self._apart = apart
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._waiting: deque[_Waiting[RequestT, AnswerT]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def submit(self, request: RequestT) -> AnswerT:
        """The answer to the request, when its batch has been committed.

        A caller that is cancelled while it waits is left out; one whose batch is under way is not, and
        what was done stays done.

        Raises:
            OverloadedError: too many wait already; nothing was done.
            Exception: what ``run`` raises for this request alone.
        """
        if len(self._waiting) >= self._waiting_max:
            raise OverloadedError("too many requests wait for the database")
        waiting = _Waiting[RequestT, AnswerT](request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                again = await self._settle(batch)
                self._waiting.extendleft(reversed(again))
        finally:
            self._working = None

    def _next_batch(self) -> list[_Waiting[RequestT, AnswerT]]:
        batch: list[_Waiting[RequestT, AnswerT]] = []
        later: list[_Waiting[RequestT, AnswerT]] = []
        shared: set[Hashable] = set()
        while self._waiting and len(batch) < self._batch_max:
            waiting = self._waiting.popleft()
            if waiting.answer.done():  # cancelled
                continue
            apart = self._apart(waiting.request)
            if apart is not None and apart in shared:
                later.append(waiting)
                continue
            shared.add(apart)
            batch.append(waiting)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _settle(self, batch: list[_Waiting[RequestT, AnswerT]]) -> list[_Waiting[RequestT, AnswerT]]:
        """Answer a batch; those that must come again."""
        try:
            answers = await self._run([waiting.request for waiting in batch])
        except Exception as error:  # noqa: BLE001  (each request gets the error that is its own)
            if len(batch) == 1:
                _fail(batch[0], error)
                return []
            return [again for waiting in batch for again in await self._settle([waiting])]
        return [waiting for waiting, answer in zip(batch, answers, strict=True) if not _answered(waiting, answer)]


def _answered(waiting: _Waiting[RequestT, AnswerT], answer: AnswerT | None) -> bool:
    if answer is None:
        waiting.turns += 1
        if waiting.turns < TURNS_MAX:
            return False
        _fail(waiting, OverloadedError("other requests for the same keep going first"))
    elif not waiting.answer.done():
        waiting.answer.set_result(answer)
    return True


def _fail(waiting: _Waiting[RequestT, AnswerT], error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
