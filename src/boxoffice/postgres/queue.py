"""The door to the durable queue: work enqueued here becomes visible when the caller's transaction commits.

The tasks themselves are in `boxoffice.jobs`; who enqueues one names it by the constant that
stands beside the enqueuing code.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from boxoffice.postgres.pool import Connection, Pool, connection

# Adds one job to procrastinate's own table, by procrastinate's own function. One that need not wait has no time, so
# that it comes next whatever the clock does meanwhile.
_ENQUEUE = """
SELECT procrastinate_defer_jobs_v1(ARRAY[
    ROW($1, $2, 0, NULL, NULL, $3::jsonb, CASE WHEN $4::interval > '0 s' THEN now() + $4::interval END
    )::procrastinate_job_to_defer_v1])
"""


async def enqueue(
    conn: Connection, task: str, *, queue: str = "default", after: timedelta = timedelta(0), **args: Any
) -> None:
    """Have ``task`` run at least once, with ``args`` (JSON values), no sooner than ``after`` from now."""
    await conn.execute(_ENQUEUE, queue, task, args, after)


# A job that would wait longer than any of its kind has to was given its time by another clock, or before ours was put
# back: it comes now. $1 tasks, $2 the longest wait of each.
_WAITS_TOO_LONG = """
UPDATE procrastinate_jobs job SET scheduled_at = NULL
  FROM unnest($1::text[], $2::interval[]) AS task (name, longest)
 WHERE job.status = 'todo' AND job.task_name = task.name AND job.scheduled_at > now() + task.longest
RETURNING job.id
"""


async def hurry(pool: Pool, longest: Mapping[str, timedelta]) -> int:
    """Let those jobs come now that wait for longer than the longest wait of their task; returns how many."""
    async with connection(pool) as conn:
        return len(await conn.fetch(_WAITS_TOO_LONG, list(longest), list(longest.values())))
