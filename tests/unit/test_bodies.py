"""Bodies are waited for as long as was said, and a request that is cancelled for another reason is cancelled."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from litestar.types import Receive

from boxoffice.errors import TooSlowError
from boxoffice.seating.group_commit import OverloadedError
from boxoffice.web.admission import WORK
from boxoffice.web.bodies import Patience
from boxoffice.web.lanes import Kind, Lane, Stay

SHORT_S = 0.2
PAYING = Kind.FINISHING


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def sender(*messages: tuple[float, dict[str, Any]]) -> Receive:
    """Sends each message after so many seconds, then nothing ever."""
    coming = iter(messages)

    async def receive() -> Any:
        after, message = next(coming, (0.0, None))
        if message is None:
            await asyncio.Event().wait()
        await asyncio.sleep(after)
        return message

    return cast("Receive", receive)


def stay_in(lane: Lane | None = None) -> Stay:
    return Stay(lane or Lane(WORK), PAYING)


async def read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        if not message["more_body"]:
            return body


@pytest.mark.parametrize("pieces", [[b"all"], [b"a", b"l", b"l"], [b""]])
async def test_a_body_that_comes_in_time_is_the_same_body(pieces: Sequence[bytes]) -> None:
    messages = [(0.01, piece(one, more=n + 1 < len(pieces))) for n, one in enumerate(pieces)]

    assert await read(Patience(SHORT_S).bounded(sender(*messages), stay_in())) == b"".join(pieces)


@pytest.mark.parametrize(
    "messages",
    [[], [(0.0, piece(b"a", more=True))], [(SHORT_S / 4, piece(b"a", more=True))] * 100],
    ids=["nothing", "a-piece", "piece-by-piece"],
)
async def test_one_that_does_not_is_given_up_for_good(messages: list[tuple[float, dict[str, Any]]]) -> None:
    receive = Patience(SHORT_S).bounded(sender(*messages), stay_in())
    since = time.monotonic()
    with pytest.raises(TooSlowError):
        await read(receive)
    took = time.monotonic() - since
    assert SHORT_S <= took < 5 * SHORT_S
    with pytest.raises(TooSlowError):
        await receive()
    assert time.monotonic() - since - took < SHORT_S / 2
    # The task that was told is not a cancelled one.
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_many_at_once_are_each_given_up_at_their_own_time() -> None:
    patience = Patience(SHORT_S)

    async def one(after: float) -> float:
        await asyncio.sleep(after)
        since = time.monotonic()
        with pytest.raises(TooSlowError):
            await read(patience.bounded(sender(), stay_in()))
        return time.monotonic() - since

    took = await asyncio.gather(*(one(n * SHORT_S / 10) for n in range(20)))
    assert all(SHORT_S <= seconds < 5 * SHORT_S for seconds in took)


async def test_after_the_body_the_end_of_the_connection_may_be_waited_for() -> None:
    receive = Patience(SHORT_S).bounded(
        sender((0.0, piece(b"all", more=False)), (2 * SHORT_S, {"type": "http.disconnect"})), stay_in()
    )
    assert await read(receive) == b"all"
    assert (await receive())["type"] == "http.disconnect"


async def test_a_request_that_is_cancelled_is_cancelled() -> None:
    task = asyncio.create_task(read(Patience(SHORT_S).bounded(sender(), stay_in())))
    await asyncio.sleep(SHORT_S / 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


def of_two_looks() -> Patience:
    """With more than enough time for what a test does between two looks."""
    return Patience(10 * SHORT_S)


@pytest.mark.parametrize("first", [[], [(0.0, piece(b"a", more=True))]], ids=["no-byte", "a-byte"])
async def test_whose_body_is_waited_for_is_not_inside_until_it_is_there(
    first: list[tuple[float, dict[str, Any]]],
) -> None:
    lane, sent = Lane(WORK), asyncio.Event()
    before = sender(*first)

    async def receive() -> Any:
        if first:
            first.pop()
            return await before()
        await sent.wait()
        return piece(b"all", more=False)

    stay = stay_in(lane)
    reading = asyncio.create_task(read(of_two_looks().bounded(cast("Receive", receive), stay)))
    assert lane.inside == 1
    await until(lambda: lane.inside == 0)
    sent.set()
    assert (await reading).endswith(b"all")
    assert lane.inside == 1
    stay.end()
    assert lane.inside == 0


async def test_who_never_sends_it_is_counted_once_and_no_more() -> None:
    lane = Lane(WORK)
    stay = stay_in(lane)
    with pytest.raises(TooSlowError):
        await read(Patience(SHORT_S).bounded(sender(), stay))
    stay.end()
    stay.end()
    assert lane.inside == 0


async def test_who_comes_back_to_a_full_house_is_refused_as_others_are() -> None:
    lane, sent = Lane(WORK), asyncio.Event()

    async def receive() -> Any:
        await sent.wait()
        return piece(b"all", more=False)

    stay = stay_in(lane)
    reading = asyncio.create_task(read(of_two_looks().bounded(cast("Receive", receive), stay)))
    await until(lambda: lane.inside == 0)
    full = [stay_in(lane) for _ in range(WORK[PAYING].least)]
    sent.set()
    with pytest.raises(OverloadedError):
        await reading
    stay.end()
    assert lane.inside == len(full)


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110  (what is looked at tells nobody)
            await asyncio.sleep(SHORT_S / 10)
