"""What runs when, and the durable queue: procrastinate, with its jobs in our own PostgreSQL.

Correctness never waits for a job: time decides, jobs only tidy. Durable ones (refunds, webhook
deliveries) are enqueued in the transaction that decides them and run at least once: each of them
is idempotent. However many processes work, each recurring job runs once for each of its times.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext as RunningJob
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.worker import Worker

from boxoffice import idempotency
from boxoffice.bookings import expiry, reconciliation
from boxoffice.bookings.authorisation import SETTLE_AUTHORISATION
from boxoffice.bookings.capture import settle_authorisation
from boxoffice.bookings.waiting import count_waiting
from boxoffice.mail.outbox import MAIL_QUEUE, SEND_MAIL
from boxoffice.mail.unpaid import forget_unpaid
from boxoffice.payments.gateway import Gateway
from boxoffice.payments.ledger import check_ledger
from boxoffice.payments.refunds import SEND_REFUND, send_refund
from boxoffice.payments.webhooks import DELIVER_WEBHOOK
from boxoffice.postgres.job_ends import JobEnds
from boxoffice.postgres.pool import Pool
from boxoffice.postgres.queue import hurry
from boxoffice.seating import holds


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What the jobs work on."""

    pool: Pool
    gateways: Mapping[str, Gateway]
    expire_gateway_sessions: Callable[[], Awaitable[int]]
    """`FakeGateway.expire_lapsed`: gateways are known to the composition root alone."""
    deliver_webhook: Callable[[str, int], Awaitable[None]]
    """`FakeGateway.deliver`."""
    longest_delivery_wait: timedelta = timedelta(0)
    """`FakeGateway.longest_wait`."""
    send_mail: Callable[[UUID, UUID], Awaitable[None]]
    """`Post.send`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A job that runs by the clock (UTC)."""

    name: str
    cron: str
    why: str
    run: Callable[["Jobs"], Awaitable[object]]


EVERY_MINUTE: Final = "* * * * *"

RECURRING: Final = (
    Recurring(
        name="bookings.expire",
        cron=EVERY_MINUTE,
        why="an unpaid booking whose time is over is shown as EXPIRED; its seats were free already",
        run=lambda jobs: expiry.expire_lapsed(jobs.context.pool),
    ),
    Recurring(
        name="holds.tidy",
        cron="*/5 * * * *",
        why="seat rows forget holds that ran out, so that they read as what they are",
        run=lambda jobs: holds.tidy_lapsed(jobs.context.pool),
    ),
    Recurring(
        name="bookings.archive",
        cron="0 3 * * *",
        why="the seat lines of bookings that ended 30 days ago are folded into the booking",
        run=lambda jobs: expiry.archive_ended(jobs.context.pool),
    ),
    Recurring(
        name="idempotency.forget",
        cron="30 3 * * *",
        why="no client repeats a request after that many days",
        run=lambda jobs: idempotency.forget_old(jobs.context.pool),
    ),
    Recurring(
        name="mail.forget",
        cron="45 3 * * *",
        why="which mailboxes were written to is counted for a day, and is nobody's business after it",
        run=lambda jobs: forget_unpaid(jobs.context.pool),
    ),
    Recurring(
        name="gateway.expire_sessions",
        cron=EVERY_MINUTE,
        why="the built-in gateway closes sessions that nobody paid, and tells us, as a real one would",
        run=lambda jobs: jobs.context.expire_gateway_sessions(),
    ),
    Recurring(
        name="payments.reconcile",
        cron=EVERY_MINUTE,
        why="a webhook that was lost is made up for by asking; a session that outlives its booking is closed",
        run=lambda jobs: reconciliation.reconcile_unfinished(jobs.context.pool, jobs.context.gateways),
    ),
    Recurring(
        name="payments.reconcile_finished",
        cron="0 4 * * *",
        why="the gateway is asked about yesterday's finished payments, and the ledger is held against the rows",
        run=lambda jobs: jobs.reconcile_finished(),
    ),
    Recurring(
        name="queue.hurry",
        cron=EVERY_MINUTE,
        why="a database clock that was put back lets no job wait for longer than one of its kind ever has to",
        run=lambda jobs: jobs.hurry(),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a worker looks and tells that it lives, in seconds."""

    poll_s: float = 1.0
    """New jobs are announced; this finds those whose time has come."""
    heartbeat_s: float = 3.0
    dead_after_s: float = 15.0
    """A worker silent for so long is taken for dead, and its jobs run again elsewhere: longer than a database may be
    frozen without anybody being dead, though a job that runs twice does no harm."""
    look_for_dead_s: float = 3.0
    """How often each worker looks whether another has died."""
    count_s: float = 60.0
    """How often each worker counts what waits for a person."""
    shutdown_s: float = 20.0
    """How long jobs may run on when the worker is told to stop; then they are cut off, to run again."""
    restart_s: float = 2.0
    """The pause before a worker that lost its database starts anew."""


RECONCILED_WITHIN: Final = timedelta(hours=26)
"""Yesterday, and a little of the day before: a run that comes late leaves no gap."""
CONCURRENCY: Final = 8
MAIL_CONCURRENCY: Final = 2
"""Letters sent at once; they have a worker of their own, so that a slow mail server keeps no refund waiting."""
DEFAULT_QUEUE: Final = "default"
CONNECTIONS_MAX: Final = 6
"""Of the queues; beside them each queue has one that hears of new jobs, and the jobs use the pool of the office."""
_NOTICE_A_DEAD_LINE: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Nobody waits for a worker, so it waits for a frozen database; of a network that swallows everything it lets go."""

log = structlog.get_logger(__name__)


class Backoff(BaseRetryStrategy):
    """Waits that double from the first to the longest, so many times."""

    def __init__(self, *, first_s: int, longest_s: int, attempts: int) -> None:
        self.longest_s = longest_s
        self._first_s = first_s
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002  (the library's signature)
        """When to run a job again; None: never, it stays in the queue's table as failed."""
        if job.attempts >= self._attempts:
            return None
        # The exponent is bounded, since two to the power of a week's attempts is no number of seconds.
        wait_s = min(self.longest_s, self._first_s * 2 ** min(job.attempts, 20))
        return RetryDecision(retry_in={"seconds": wait_s})


MONEY_BACKOFF: Final = Backoff(first_s=1, longest_s=600, attempts=1000)
"""A gateway that is down for a weekend still gets its refunds: 1,000 attempts take about a week."""
CAPTURE_BACKOFF: Final = Backoff(first_s=1, longest_s=60, attempts=10_000)
"""Well within `CAPTURE_LEASE`, so that seats stay kept while their money is taken: 10,000 attempts take a week."""
MAIL_BACKOFF: Final = Backoff(first_s=5, longest_s=1800, attempts=200)
"""For days; a letter gives up sooner by itself (`GIVEN_UP_AFTER_HOURS`), and says so."""
TIDY_BACKOFF: Final = Backoff(first_s=5, longest_s=300, attempts=5)
"""Tidying comes round again by itself; this is for the daily ones."""
BACKOFFS: Final[Mapping[str, Backoff]] = {
    SEND_REFUND: MONEY_BACKOFF,
    DELIVER_WEBHOOK: MONEY_BACKOFF,
    SETTLE_AUTHORISATION: CAPTURE_BACKOFF,
    SEND_MAIL: MAIL_BACKOFF,
}
"""The durable tasks, with how long each waits after an attempt that failed."""
CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""A job may be given its time by the clock of its worker; those of two machines are not one."""


class Jobs:
    """The durable queue of one database, and the code behind its tasks."""

    def __init__(
        self,
        dsn: str,
        context: JobContext,
        *,
        recurring: Sequence[Recurring] = RECURRING,
        pace: Pace | None = None,
    ) -> None:
        self.context = context
        self.pace = pace or Pace()
        self.app = App(
            connector=PsycopgConnector(
                conninfo=dsn,
                min_size=1,
                max_size=CONNECTIONS_MAX,
                kwargs={"application_name": "boxoffice-jobs", **_NOTICE_A_DEAD_LINE},
            )
        )
        self.app.job_manager = self._ends = JobEnds(self.app.connector)
        self._perform(SEND_REFUND, self._send_refund)
        self._perform(DELIVER_WEBHOOK, self._deliver_webhook)
        self._perform(SETTLE_AUTHORISATION, self._settle_authorisation)
        self._perform(SEND_MAIL, self._send_mail, queue=MAIL_QUEUE)
        for job in recurring:
            self._recur(job)

    async def work(self, stop: asyncio.Event | None = None) -> None:
        """Run jobs until ``stop`` is set or, without one, until SIGTERM or SIGINT; a cancellation stops too.

        Jobs under way are let finish. A worker that fails, say because its database went away, is
        started anew.
        """
        if stop is None:
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        while not stop.is_set():
            worker = asyncio.create_task(self._run_worker())
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                # A cancelled worker stops gracefully; on one that has ended this does nothing.
                worker.cancel()
                await asyncio.wait({worker})
            why = _why_ended(worker)
            if not stop.is_set():
                log.error("worker ended, starting anew", error=why)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self.pace.restart_s)

    async def retry_stalled(self) -> int:
        """Have the jobs of workers that died run again; returns how many."""
        manager = self.app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=self.pace.dead_after_s))
        for job in stalled:
            log.warning("job of a dead worker runs again", job=job.id, task=job.task_name)
            # Another process may have been quicker, or the dead worker was only slow and has just ended it.
            with contextlib.suppress(ConnectorException):
                await manager.retry_job_by_id_async(job.id or 0, datetime.now(UTC))
        await manager.prune_stalled_workers(self.pace.dead_after_s)
        return len(stalled)

    async def hurry(self) -> int:
        """Let the jobs come that a clock put too far off; returns how many."""
        longest = {task: timedelta(seconds=backoff.longest_s) + CLOCKS_DIFFER for task, backoff in BACKOFFS.items()}
        longest[DELIVER_WEBHOOK] += self.context.longest_delivery_wait
        return await hurry(self.context.pool, longest)

    async def reconcile_finished(self) -> None:
        """Ask about the payments that were over in the last day and a bit, and hold the ledger against the rows."""
        since = datetime.now(UTC) - RECONCILED_WITHIN
        await reconciliation.reconcile_finished(self.context.pool, self.context.gateways, since)
        await check_ledger(self.context.pool)
        await count_waiting(self.context.pool)

    async def _run_worker(self) -> None:
        """Both queues and what recurs here; when one of these ends, as it does without an error too, all end."""
        async with self.app.open_async():
            parts = [
                asyncio.create_task(self._run_queue(DEFAULT_QUEUE, CONCURRENCY)),
                asyncio.create_task(self._run_queue(MAIL_QUEUE, MAIL_CONCURRENCY)),
                asyncio.create_task(self._look_for_dead()),
                asyncio.create_task(self._count_waiting()),
                asyncio.create_task(self._end_with_unwritten()),
            ]
            try:
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.wait(parts)
            for part in parts:
                if not part.cancelled() and (error := part.exception()):
                    raise error

    async def _look_for_dead(self) -> None:
        """By itself and not as a job: it would wait behind all others, just when there are too many."""
        while True:
            await asyncio.sleep(self.pace.look_for_dead_s)
            await self.retry_stalled()

    async def _end_with_unwritten(self) -> None:
        """A job whose end could not be written down is taken up again when its worker, this one, is no more."""
        self._ends.unwritten = asyncio.get_running_loop().create_future()
        await self._ends.unwritten

    async def _count_waiting(self) -> None:
        """By itself and not as a job, which only one of all workers runs: the metric is each machine's own."""
        while True:
            try:
                await count_waiting(self.context.pool)
            except Exception as error:  # noqa: BLE001  (whatever it is, the jobs go on; a database that is away ends them)
                log.warning("what waits for a person is not counted", error=repr(error))
            await asyncio.sleep(self.pace.count_s)

    async def _run_queue(self, queue: str, concurrency: int) -> None:
        await self.app.run_worker_async(
            queues=[queue],
            concurrency=concurrency,
            fetch_job_polling_interval=self.pace.poll_s,
            shutdown_graceful_timeout=self.pace.shutdown_s,
            listen_notify=True,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=self.pace.heartbeat_s,
            stalled_worker_timeout=self.pace.dead_after_s,
            worker_middleware=[_log_failure],
        )

    async def _send_refund(self, show_id: str, refund_id: str) -> None:
        await send_refund(self.context.pool, self.context.gateways, UUID(show_id), UUID(refund_id))

    async def _settle_authorisation(self, show_id: str, payment_id: str) -> None:
        await settle_authorisation(self.context.pool, self.context.gateways, UUID(show_id), UUID(payment_id))

    async def _deliver_webhook(self, delivery_id: str, attempt: int) -> None:
        await self.context.deliver_webhook(delivery_id, attempt)

    async def _send_mail(self, show_id: str, mail_id: str) -> None:
        await self.context.send_mail(UUID(show_id), UUID(mail_id))

    def _perform(self, task: str, run: Callable[..., Awaitable[None]], queue: str = DEFAULT_QUEUE) -> None:
        self.app.task(name=task, queue=queue, retry=BACKOFFS[task])(run)

    def _recur(self, job: Recurring) -> None:
        async def run(timestamp: int) -> None:  # noqa: ARG001  (the library's: the time this run is for)
            await job.run(self)

        # No queueing lock: the library cannot retry a job while another waits under the same one.
        self.app.periodic(cron=job.cron)(self.app.task(name=job.name, retry=TIDY_BACKOFF)(run))


async def _log_failure(call_next: Callable[[], Awaitable[Any]], running: RunningJob, _: Worker) -> Any:
    """Tell of each attempt that failed, in the form of our other logs; the library tells of the last."""
    try:
        return await call_next()
    except Exception as error:
        log.warning(
            "job failed",
            job=running.job.id,
            task=running.job.task_name,
            args=running.job.task_kwargs,
            attempt=running.job.attempts,
            error=repr(error),
        )
        raise


def _why_ended(worker: asyncio.Task[None]) -> str:
    return "cancelled" if worker.cancelled() else repr(worker.exception())
