"""A mail server on a real socket, that answers as it is told, and letters as their readers see them."""

import asyncio
import email
import email.policy
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from aiosmtpd.smtp import SMTP

from boxoffice.mail.mailer import Mailer
from boxoffice.mail.outbox import SEND_MAIL
from boxoffice.postgres.pool import Pool
from boxoffice.tickets.post import Post
from boxoffice.web.office import Office


class Postbox:
    """Keeps what it takes; ``answers`` are given to DATA in turn, 250 after the last."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.answers: list[str] = []
        self.port = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002  (the library's)
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
            self.taken.append(message)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return answer


@asynccontextmanager
async def open_postbox(box: Postbox) -> AsyncGenerator[str]:
    """The address of a running server."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, hostname="mail.test", loop=loop), "127.0.0.1", box.port)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield f"smtp://127.0.0.1:{box.port}"
    finally:
        server.close()
        await server.wait_closed()


def text_of(message: EmailMessage) -> str:
    """What it says without HTML."""
    return _part(message, "plain")


def html_of(message: EmailMessage) -> str:
    return _part(message, "html")


def attachments_of(message: EmailMessage) -> dict[str, bytes]:
    return {str(one.get_filename()): _bytes(one.get_content()) for one in message.iter_attachments()}


def post_for(pool: Pool, office: Office, mailer: Mailer) -> Post:
    """What sends the letters of an office."""
    return Post(
        pool=pool,
        mailer=mailer,
        keys=office.ticket_keys,
        base_url="https://box.example",
        sender="Box office <tickets@box.example>",
    )


async def jobs(pool: Pool) -> list[tuple[UUID, UUID]]:
    """The letters that are to be sent, by the queue: show and letter, oldest first."""
    found = await pool.fetch("SELECT args FROM procrastinate_jobs WHERE task_name = $1 ORDER BY id", SEND_MAIL)
    return [(UUID(one["args"]["show_id"]), UUID(one["args"]["mail_id"])) for one in found]


async def deliver_all(pool: Pool, post: Post) -> None:
    """What the worker does, twice: a job may run again."""
    for _ in range(2):
        for show_id, mail_id in await jobs(pool):
            await post.send(show_id, mail_id)


async def mails(pool: Pool) -> list[tuple[str, str]]:
    """Occasion and status of all letters, oldest first."""
    found = await pool.fetch("SELECT occasion, status FROM mail ORDER BY created_at, id")
    return [(one["occasion"], one["status"]) for one in found]


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else content
