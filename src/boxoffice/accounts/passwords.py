"""Passwords by argon2id, hashed in a few threads: never on the event loop, never too many at once."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from pwdlib import PasswordHash

from boxoffice.errors import MalformedError, UnavailableError

PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 128
HASHING_THREADS: Final = 2
"""A hash takes 64 MiB and a sixth of a second of a core: more at once would starve everything else."""
HASHING_QUEUE_MAX: Final = 64
"""Requests that may wait for their turn to hash; one more is told to come back later."""

NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$MDWm93Gs1Dfsw9QjwggWnQ$CBNLb7rPU0YkrHOl2dqSniJKn70Mkgi6Awzq57he/pQ"
)
"""Of no known password: to verify against it costs an unknown e-mail address what a wrong password costs."""


class HashingBusyError(UnavailableError):
    """Too many people are signing in at this moment."""

    code = "sign_in_busy"


def refuse_bad_length(password: str) -> None:
    """Refuse a password that is too short to be safe or too long to be one.

    Raises:
        MalformedError: it is not within `PASSWORD_LENGTH_MIN` to `PASSWORD_LENGTH_MAX` characters.
    """
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        wanted = f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"
        raise MalformedError(f"the password {wanted}", errors={"password": wanted})


class Passwords:
    """Hashes and verifies, a bounded number at a time, for callers that wait in a bounded queue."""

    def __init__(self) -> None:
        self._hasher = PasswordHash.recommended()
        self._threads = ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="passwords")
        self._slots = asyncio.Semaphore(HASHING_THREADS)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator["Turn"]:
        """Wait for a turn to hash, and keep it while inside.

        Raises:
            HashingBusyError: `HASHING_QUEUE_MAX` others are waiting.
        """
        if self._waiting >= HASHING_QUEUE_MAX:
            raise HashingBusyError(retry_after_s=5)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield Turn(self._hasher, self._threads)
        finally:
            self._slots.release()

    async def hash(self, password: str) -> str:
        """The hash to keep of ``password``.

        Raises:
            HashingBusyError: too many are waiting.
        """
        async with self.turn() as turn:
            return await turn.hash(password)

    async def verify(self, password: str, kept: str) -> bool:
        """Whether ``kept`` is a hash of ``password``.

        Raises:
            HashingBusyError: too many are waiting.
        """
        async with self.turn() as turn:
            return await turn.verify(password, kept)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Turn:
    """A turn to use one of the threads."""

    def __init__(self, hasher: PasswordHash, threads: ThreadPoolExecutor) -> None:
        self._hasher = hasher
        self._threads = threads

    async def hash(self, password: str) -> str:
        """The hash to keep of ``password``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password: str, kept: str) -> bool:
        """Whether ``kept`` is a hash of ``password``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.verify, password, kept)
