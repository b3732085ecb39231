"""Letters as files in a folder: for development, where they are to be looked at and not sent."""

import asyncio
from email.message import EmailMessage
from pathlib import Path

from boxoffice.mail.mailer import MailDownError


class FolderMailer:
    """Writes each letter as an ``.eml`` file into ``folder``, named by its time and its Message-ID."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """As `Mailer.send`; the file is there as a whole or not at all."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise MailDownError(f"the folder for mail cannot be written: {error}") from error

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        begun = self._folder / f".{name}.part"
        begun.write_bytes(message.as_bytes())
        begun.replace(self._folder / f"{name}.eml")
