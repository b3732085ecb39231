"""What became of a job is written down, or its worker ends and the job is taken up again.

The library goes on when that cannot be written. The job would then stay under a worker that lives, where nobody takes
it for stalled, for as long as that process does.
"""

import asyncio
from typing import Any

from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager


class JobEnds(JobManager):
    """The library's own manager of jobs, which tells when the end of one could not be written down."""

    unwritten: asyncio.Future[None] | None = None
    """Of the present worker: fails with the error."""

    async def finish_job(self, *args: Any, **more: Any) -> None:
        """As the library's."""
        try:
            await super().finish_job(*args, **more)
        except ConnectorException as error:
            self._tell(error)
            raise

    async def retry_job(self, job: Job, *args: Any, **more: Any) -> None:
        """As the library's."""
        try:
            await super().retry_job(job, *args, **more)
        except ConnectorException as error:
            self._tell(error)
            raise

    def _tell(self, error: ConnectorException) -> None:
        if self.unwritten is not None and not self.unwritten.done():
            self.unwritten.set_exception(error)
