"""Where a buyer wants to hear of a booking: an address given with it, else the account's; nobody is written to else."""

import re
from typing import Final
from uuid import UUID

from boxoffice.errors import MalformedError
from boxoffice.mail.outbox import Occasion, tell
from boxoffice.postgres.pool import Connection, Row, row

EMAIL_LENGTH_MAX: Final = 254
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
"""What every mail server takes (the form of HTML's own e-mail fields): no white space, no line break, no comma."""


class Contact(Row, frozen=True, kw_only=True):
    """An address, and the language to write in (`boxoffice.languages`)."""

    email: str | None
    locale: str


def checked_email(text: str) -> str:
    """The address without white space around it.

    Raises:
        MalformedError: it is none that mail can be sent to.
    """
    email = text.strip()
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email):
        raise MalformedError("that is no e-mail address", errors={"email": "must be an e-mail address"})
    return email


# The contact of a booking, given now or changed; says whether the booking has tickets to send there.
_SET: Final = """
WITH changed AS (
    INSERT INTO booking_contact (show_id, booking_id, email, locale) VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT booking_contact_pkey
    DO UPDATE SET email = excluded.email, locale = excluded.locale, changed_at = now()
)
SELECT status = 'CONFIRMED' FROM booking WHERE show_id = $1 AND id = $2 FOR UPDATE
"""


async def set_contact(conn: Connection, show_id: UUID, booking_id: UUID, *, email: str | None, locale: str) -> None:
    """Write to this address about the booking; None: to the account's.

    A booking that is confirmed already, and whose tickets were mailed to nobody, has them mailed now.

    Raises:
        MalformedError: the address is none.
    """
    address = None if email is None else checked_email(email)
    if await conn.fetchval(_SET, show_id, booking_id, address, locale):
        await tell(conn, Occasion.CONFIRMED, show_id, booking_id)


# Who hears of a booking.
_CONTACT: Final = """
SELECT coalesce(c.email, a.email) AS email, coalesce(c.locale, 'en') AS locale
  FROM booking b
  LEFT JOIN booking_contact c ON c.show_id = b.show_id AND c.booking_id = b.id
  LEFT JOIN account a ON a.id = b.user_id
 WHERE b.show_id = $1 AND b.id = $2
"""


async def contact_of(conn: Connection, show_id: UUID, booking_id: UUID) -> Contact:
    """Who hears of a booking; without an address, nobody."""
    found = await conn.fetchrow(_CONTACT, show_id, booking_id)
    return row(Contact, found) if found else Contact(email=None, locale="en")
