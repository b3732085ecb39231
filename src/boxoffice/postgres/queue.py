"""The door to the durable queue: work enqueued here becomes visible when the caller's transaction commits.

The tasks themselves are in `boxoffice.jobs`; who enqueues one names it by the constant that
stands beside the enqueuing code.
"""

from datetime import timedelta
from typing import Any

from boxoffice.postgres.pool import Connection

# Adds one job to procrastinate's own table, by procrastinate's own function.
_ENQUEUE = """
SELECT procrastinate_defer_jobs_v1(ARRAY[
    ROW($1, $2, 0, NULL, NULL, $3::jsonb, now() + $4::interval)::procrastinate_job_to_defer_v1])
"""


async def enqueue(
    conn: Connection, task: str, *, queue: str = "default", after: timedelta = timedelta(0), **args: Any
) -> None:
    """Have ``task`` run at least once, with ``args`` (JSON values), no sooner than ``after`` from now."""
    await conn.execute(_ENQUEUE, queue, task, args, after)
