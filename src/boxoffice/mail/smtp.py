"""Letters through a mail server (SMTP, RFC 5321), over TLS wherever the server speaks it."""

import asyncio
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from boxoffice.mail.mailer import MailDownError, MailRefusedError

SEND_TIMEOUT_S: Final = 60.0
"""For a whole letter: a server slower than this counts as down."""
STEP_TIMEOUT_S: Final = 30.0
_PERMANENT_FROM: Final = 500


class SmtpMailer:
    """Sends through the server at ``url``: ``smtp://`` (STARTTLS where it is offered) or ``smtps://``.

    With a user name in it, ``smtp://`` insists on STARTTLS: a password never goes over an open line.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._tls else 587 if parts.username else 25)
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        """As `Mailer.send`."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await aiosmtplib.send(
                    message,
                    hostname=self._host,
                    port=self._port,
                    username=self._username,
                    password=self._password,
                    use_tls=self._tls,
                    start_tls=None if self._tls or self._username is None else True,
                    timeout=STEP_TIMEOUT_S,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise _failure(min(codes, default=0), repr(error)) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # Our own set-up is wrong, and the letter is not: it waits until that is mended.
            raise MailDownError(f"the mail server refuses us: {error.code} {error.message}") from error
        except aiosmtplib.SMTPNotSupported as error:
            raise MailRefusedError(f"the mail server cannot take this letter: {error}") from error
        except aiosmtplib.SMTPResponseException as error:
            raise _failure(error.code, f"{error.code} {error.message}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailDownError(f"the mail server does not answer: {error!r}") from error


def _failure(code: int, said: str) -> MailDownError | MailRefusedError:
    return MailRefusedError(said) if code >= _PERMANENT_FROM else MailDownError(said)
