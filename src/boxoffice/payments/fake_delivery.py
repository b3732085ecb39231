"""How the built-in gateway tells what happened: signed webhooks over real HTTP, until they are taken.

An event is written in the transaction of the change that it tells of, together with the durable
job that delivers it. Each attempt that fails queues the next, with growing waits, for up to a day.
"""

import asyncio
import random
import time
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import httpx
import msgspec
import structlog

from boxoffice.payments.webhooks import DELIVER_WEBHOOK, SIGNATURE_HEADER, EventBody, sign
from boxoffice.postgres.pool import Connection, Pool, connection, transaction
from boxoffice.postgres.queue import enqueue

DELIVERY_TIMEOUT_S: Final = 10
"""A receiver that has not answered by then has not taken the event."""
SAFETY_NET_S: Final = 15
"""The job behind a delivery made at once comes this much later: that one is over by then, come what may."""
RETRY_FIRST_S: Final = 1
RETRY_LONGEST_S: Final = 300
"""Waits between attempts double from the first to the longest."""
DELIVERED_WITHIN: Final = timedelta(days=1)
"""An event that nobody took in this time is given up."""
REORDER_S_MAX: Final = 3.0
"""With `FakeBehaviour.reorder` each event waits a random time up to this, so that later ones overtake."""
ERROR_LENGTH_MAX: Final = 500
"""Characters kept of why an attempt failed."""

log = structlog.get_logger(__name__)


class FakeBehaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How badly the gateway behaves; by default, not at all."""

    delay_s: float = 0.0
    """Each event is sent this much later."""
    fail_rate: float = 0.0
    """Of 1: how many calls get no answer. Half of those are carried out all the same."""
    duplicate_rate: float = 0.0
    """Of 1: how many events are sent twice, at once."""
    reorder: bool = False
    """Events overtake each other."""
    authorise_first: bool = False
    """What a buyer pays is set aside until we capture it, as cards have it."""


class FakeDelivery:
    """Delivers the events of one gateway to one receiver."""

    def __init__(
        self,
        pool: Pool,
        http: httpx.AsyncClient,
        *,
        secret: str,
        url: str,
        behaviour: FakeBehaviour,
        rng: random.Random,
    ) -> None:
        self._pool = pool
        self._http = http
        self._secret = secret
        self._url = url
        self._behaviour = behaviour
        self._rng = rng

    async def announce(self, conn: Connection, event: EventBody, *, at_once: bool) -> UUID | None:
        """Write an event and queue its delivery, in the transaction of what it tells of.

        Returns:
            The delivery to attempt once that transaction has committed, where it is ``at_once``
            and we were not told to be late; the job comes later then, and only if need be.
        """
        delivery_id = uuid4()
        await conn.execute(_ADD, delivery_id, msgspec.json.encode(event))
        later_s = self._later_s()
        now = at_once and later_s == 0
        await _queue_attempt(conn, delivery_id, 0, SAFETY_NET_S if now else later_s)
        return delivery_id if now else None

    async def attempt(self, delivery_id: UUID, attempt: int) -> None:
        """Make attempt number ``attempt``, from 0; nothing if that is over, or the event was taken.

        One that fails queues the next in the transaction that records it: there is always exactly
        one to come.
        """
        async with connection(self._pool) as conn:
            body = await conn.fetchval(_BODY, delivery_id, attempt)
        if body is None:
            return
        error = await self._send(body)
        async with transaction(self._pool) as conn:
            if error is None:
                await conn.execute(_TAKEN, delivery_id)
            else:
                await _retry_later(conn, delivery_id, attempt, error)

    @property
    def longest_wait(self) -> timedelta:
        """No event waits longer than this for its next attempt."""
        first_s = self._behaviour.delay_s + REORDER_S_MAX
        return timedelta(seconds=max(first_s, SAFETY_NET_S, RETRY_LONGEST_S))

    def _later_s(self) -> float:
        overtaken_s = self._rng.uniform(0, REORDER_S_MAX) if self._behaviour.reorder else 0.0
        return self._behaviour.delay_s + overtaken_s

    async def _send(self, body: bytes) -> str | None:
        """One event, twice where we misbehave; returns why nobody took it, or None."""
        twice = self._rng.random() < self._behaviour.duplicate_rate
        errors = await asyncio.gather(*(self._post(body) for _ in range(2 if twice else 1)))
        return None if None in errors else errors[0]

    async def _post(self, body: bytes) -> str | None:
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign(self._secret, body, int(time.time())),
        }
        try:
            # httpx limits each read; a receiver that trickles would still keep us for ever.
            async with asyncio.timeout(DELIVERY_TIMEOUT_S):
                answer = await self._http.post(self._url, content=body, headers=headers, timeout=DELIVERY_TIMEOUT_S)
        except TimeoutError:
            return f"no answer in {DELIVERY_TIMEOUT_S} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return repr(error)
        return None if answer.is_success else f"answered {answer.status_code}: {answer.text[:200]}"


# Keeps the event to deliver.
_ADD = """
INSERT INTO fake_delivery (id, body) VALUES ($1, $2)
"""

# The bytes to send, while it is this attempt's turn.
_BODY = """
SELECT body FROM fake_delivery WHERE id = $1 AND attempts = $2 AND delivered_at IS NULL
"""

# The receiver has taken it.
_TAKEN = """
UPDATE fake_delivery SET delivered_at = now(), attempts = attempts + 1, last_error = NULL
WHERE id = $1 AND delivered_at IS NULL
"""

# Ends an attempt that failed, once; tells whether there is time for another.
_FAILED = """
UPDATE fake_delivery SET attempts = attempts + 1, last_error = $3
WHERE id = $1 AND attempts = $2 AND delivered_at IS NULL
RETURNING created_at > now() - $4::interval
"""


async def _retry_later(conn: Connection, delivery_id: UUID, attempt: int, error: str) -> None:
    cause = error.replace("\x00", "")[:ERROR_LENGTH_MAX]
    again = await conn.fetchval(_FAILED, delivery_id, attempt, cause, DELIVERED_WITHIN)
    if again is None:
        return
    about = {"delivery_id": str(delivery_id), "attempt": attempt, "error": cause}
    if again:
        # The exponent is bounded, since two to the power of a day's attempts is no number of seconds.
        wait_s = min(RETRY_LONGEST_S, RETRY_FIRST_S * 2 ** min(attempt, 20))
        await _queue_attempt(conn, delivery_id, attempt + 1, wait_s)
        log.warning("webhook not delivered", **about)
    else:
        log.error("webhook given up", **about)


async def _queue_attempt(conn: Connection, delivery_id: UUID, attempt: int, later_s: float) -> None:
    await enqueue(
        conn,
        DELIVER_WEBHOOK,
        after=timedelta(seconds=later_s),
        delivery_id=str(delivery_id),
        attempt=attempt,
    )
