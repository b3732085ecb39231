"""Sending the letters that were decided: leased, put into words, given to the mailer, marked."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from uuid import UUID

import structlog

from boxoffice.bookings.reading import Booking, find_booking
from boxoffice.bookings.states import BookingStatus
from boxoffice.languages import ENGLISH, LANGUAGES, Language
from boxoffice.mail.contact import contact_of
from boxoffice.mail.mailer import Mailer, MailRefusedError
from boxoffice.mail.outbox import Letter, Occasion, claim_letter, release_letter, settle_letter
from boxoffice.mail.unpaid import count_unpaid
from boxoffice.payments.refunds import Refund, list_refunds
from boxoffice.postgres.pool import Connection, Pool, connection
from boxoffice.tickets import letters
from boxoffice.tickets.codes import TicketKeys
from boxoffice.tickets.issue import NoTicketsError, Tickets, tickets_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Sends letters; without a ``mailer`` none can be, and each is marked so."""

    pool: Pool
    mailer: Mailer | None
    keys: TicketKeys
    base_url: str
    sender: str

    async def send(self, show_id: UUID, mail_id: UUID) -> None:
        """Send a letter once; nothing when that is done.

        Raises:
            MailLeasedError: somebody else has it; ask again later.
            MailDownError: the mail server did not take it; ask again later.
        """
        async with connection(self.pool) as conn:
            letter = await claim_letter(conn, show_id, mail_id)
        if letter is None:
            return
        try:
            status, why = await self._deliver(show_id, letter)
        except MailRefusedError as refusal:
            status, why = "FAILED", refusal.detail
        except Exception as error:
            async with connection(self.pool) as conn:
                if not letter.overdue:
                    await release_letter(conn, show_id, mail_id, repr(error))
                    raise
            status, why = "FAILED", f"given up: {error!r}"
        async with connection(self.pool) as conn:
            await settle_letter(conn, show_id, mail_id, status, why)
        if status == "FAILED":
            log.error("letter not sent", show_id=str(show_id), mail_id=str(mail_id), reason=why)

    async def _deliver(self, show_id: UUID, letter: Letter) -> tuple[str, str | None]:
        """How the letter ended, and why if it was not sent."""
        if self.mailer is None:
            return "FAILED", "SMTP_URL is not set"
        if letter.superseded:
            return "DROPPED", "goes to an address given since"
        async with connection(self.pool) as conn:
            contact = await contact_of(conn, show_id, letter.booking_id)
            if contact.email is None:
                return "DROPPED", "nobody to write to"
            language = LANGUAGES.get(contact.locale, ENGLISH)
            told = await self._read(conn, show_id, letter)
            if told is None:
                return "DROPPED", "no longer so"
            if letter.occasion == Occasion.EXPIRED and not await count_unpaid(conn, contact.email, letter.id):
                log.warning("letter left out: its mailbox has had enough today", mail_id=str(letter.id))
                return "DROPPED", "the mailbox has had enough of what nobody paid for today"
        # In a thread, since drawing the sheet takes 0.1 to 0.2 s.
        message = await asyncio.to_thread(self._write, told, letter, language, contact.email)
        await self.mailer.send(message)
        return "SENT", None

    async def _read(self, conn: Connection, show_id: UUID, letter: Letter) -> "Told | None":
        """What the letter is about, as it is now; None: what it would say is no longer so."""
        if letter.occasion == Occasion.CONFIRMED:
            try:
                return await tickets_of(conn, self.keys, letter.booking_id, owner=None)
            except NoTicketsError:
                return None
        booking = await find_booking(conn, letter.booking_id, owner=None)
        if letter.occasion == Occasion.EXPIRED:
            return booking if booking.status is BookingStatus.EXPIRED else None
        (refund,) = [one for one in await list_refunds(conn, show_id, booking.id) if one.id == letter.refund_id]
        records = await conn.fetch(_SEATS, show_id, booking.id, refund.id)
        return booking, refund, [f"{record['row_label']}{record['number']}" for record in records]

    def _write(self, told: "Told", letter: Letter, language: Language, to: str) -> EmailMessage:
        """The letter, ready to go."""
        if isinstance(told, Tickets):
            words = letters.confirmed(told, language, self.base_url)
        elif isinstance(told, Booking):
            seats = [f"{seat.row}{seat.number}" for seat in told.seats]
            words = letters.expired(told.show, seats, language, self.base_url)
        else:
            booking, refund, seats = told
            words = letters.refunded(booking.show, refund, seats, language, self.base_url)
        message = letters.envelope(words, language, sender=self.sender, to=to, message_id=letter.id)
        now = datetime.now(UTC)
        message["Date"] = format_datetime(now)
        if isinstance(told, Tickets):
            # What draws pages takes 20 MB: processes that send no tickets do without.
            from boxoffice.tickets.calendar_entry import calendar_entry  # noqa: PLC0415
            from boxoffice.tickets.pdf import tickets_pdf  # noqa: PLC0415

            sheet = tickets_pdf(told, language)
            message.add_attachment(sheet, maintype="application", subtype="pdf", filename="tickets.pdf")
            entry = calendar_entry(told, language, base_url=self.base_url, now=now)
            message.add_attachment(entry, maintype="text", subtype="calendar", filename="show.ics")
        return message


Told = Tickets | Booking | tuple[Booking, Refund, list[str]]
"""What a letter is about: tickets, a booking that ran out, or a refund with its booking and seats."""

# The seats that a refund gave back; of money that bought none, none.
_SEATS: Final = """
SELECT l.row_label, l.number FROM refund_seat r JOIN booking_seat l USING (show_id, booking_id, seat_id)
 WHERE r.show_id = $1 AND r.booking_id = $2 AND r.refund_id = $3 ORDER BY l.position
"""
