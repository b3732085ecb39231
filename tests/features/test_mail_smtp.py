"""Letters through a real mail server: they arrive as they were written, and its answers are told apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from email.message import EmailMessage

import httpx
import make
import pytest
from paper import Sheet
from postbox import Postbox, attachments_of, mails, open_postbox, text_of
from workers import at_work, make_jobs, queue_is_empty, until

from boxoffice.mail import smtp
from boxoffice.mail.folder import FolderMailer
from boxoffice.mail.mailer import MailDownError, MailRefusedError
from boxoffice.mail.smtp import SmtpMailer
from boxoffice.postgres.pool import Pool
from boxoffice.tickets.post import Post
from boxoffice.web.office import Office


@pytest.fixture
def box() -> Postbox:
    return Postbox()


@pytest.fixture
async def url(box: Postbox) -> AsyncIterator[str]:
    async with open_postbox(box) as url:
        yield url


def a_letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = "a@b.example", "c@d.example", "<1@b.example>"
    message.set_content("hello")
    return message


async def test_the_worker_sends_it_once_though_the_server_asks_to_come_again(
    client: httpx.AsyncClient, pool: Pool, dsn: str, office: Office, box: Postbox, url: str
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, *show.seats[:2])
    said = {"email": "asha@example.com", "locale": "hi"}
    await client.put(f"/api/v1/bookings/{booking['id']}/contact", json=said, headers=buyer.headers)
    session = await make.session(client, buyer, booking["id"])
    await make.deliver(client, make.event(session, booking["id"]))
    post = Post(
        pool=pool,
        mailer=SmtpMailer(url),
        keys=office.ticket_keys,
        base_url="https://box.example",
        sender="Box office <tickets@box.example>",
    )
    box.answers = ["451 later"]

    async with at_work(make_jobs(pool, dsn, send_mail=post.send)):
        await until(lambda: queue_is_empty(pool))

    (message,) = box.taken
    assert box.envelopes == [("tickets@box.example", ["asha@example.com"])]
    assert len(Sheet(attachments_of(message)["tickets.pdf"]).scanned()) == 2
    assert "A1" in text_of(message)
    assert await mails(pool) == [("CONFIRMED", "SENT")]


@pytest.mark.parametrize(
    ("answer", "kind"), [("554 spam", MailRefusedError), ("421 busy", MailDownError), ("452 full", MailDownError)]
)
async def test_its_answers_are_told_apart(box: Postbox, url: str, answer: str, kind: type[Exception]) -> None:
    box.answers = [answer]
    with pytest.raises(kind):
        await SmtpMailer(url).send(a_letter())
    assert box.taken == []


async def test_a_server_that_is_not_there_is_down() -> None:
    with pytest.raises(MailDownError):
        await SmtpMailer("smtp://127.0.0.1:1").send(a_letter())


async def test_a_server_that_says_nothing_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "SEND_TIMEOUT_S", 0.2)

    over = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(MailDownError):
            await SmtpMailer(f"smtp://127.0.0.1:{port}").send(a_letter())
        async with asyncio.timeout(10):
            await over.wait()


async def test_a_password_goes_over_no_open_line(box: Postbox, url: str) -> None:
    with pytest.raises((MailDownError, MailRefusedError)):
        await SmtpMailer(url.replace("://", "://user:secret@")).send(a_letter())
    assert box.taken == []


async def test_in_development_letters_are_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("box") / "mail"
    await FolderMailer(folder).send(a_letter())
    await FolderMailer(folder).send(a_letter())
    (file,) = list(folder.iterdir())
    assert file.name == "1.eml"
    assert b"hello" in file.read_bytes()
