"""A mail server that is none: keeps what it is given, fails when told to, and can be made to wait."""

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage


class FakeMailer:
    """Takes letters as a `Mailer`; ``failures`` are raised in turn, and nothing is taken while it is blocked."""

    def __init__(self, *failures: Exception) -> None:
        self.sent: list[EmailMessage] = []
        self.failures: Sequence[Exception] = failures
        self.asked = 0
        self._open = asyncio.Event()
        self._open.set()

    def block(self) -> None:
        """From now on a letter waits until `unblock`."""
        self._open.clear()

    def unblock(self) -> None:
        """Let those that wait go on."""
        self._open.set()

    async def send(self, message: EmailMessage) -> None:
        """As `Mailer.send`."""
        self.asked += 1
        await self._open.wait()
        if self.failures:
            first, *self.failures = self.failures
            raise first
        self.sent.append(message)
