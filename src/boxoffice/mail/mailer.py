"""The way that letters leave the house: what we ask of it, and how it may fail."""

from email.message import EmailMessage
from typing import Protocol

from boxoffice.errors import ConflictError, UnavailableError


class MailDownError(UnavailableError):
    """The mail server cannot be reached, or wants to be asked again later."""

    code = "mail_unavailable"


class MailRefusedError(ConflictError):
    """The mail server will not take this letter, however often it is asked."""

    code = "mail_refused"


class Mailer(Protocol):
    """Takes letters away."""

    async def send(self, message: EmailMessage) -> None:
        """Send one letter; on return it is another's to deliver.

        Raises:
            MailDownError: it was not taken; ask again later.
            MailRefusedError: it never will be.
        """
        ...
