"""Where a buyer wants to hear of a booking: an address given with it, else the account's; nobody is written to else."""

import re
from typing import Final
from uuid import UUID

from boxoffice.errors import ConflictError, MalformedError
from boxoffice.mail.outbox import Occasion, tell
from boxoffice.postgres.pool import Connection, Row, row

EMAIL_LENGTH_MAX: Final = 254
ADDRESSES_MAX: Final = 5
"""That a buyer can give for one booking in turn: each one given after it was confirmed is sent the tickets."""
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
"""What every mail server takes (the form of HTML's own e-mail fields): no white space, no line break, no comma."""


class AddressesUsedUpError(ConflictError):
    """The address of this booking was changed too often."""

    code = "contact_addresses_used_up"


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


# The contact of a booking, given now or changed; says whether the booking has tickets to send there, and null where
# that would be more than $5 addresses in turn. Twins wait for each other at the contact's row.
_SET: Final = """
WITH given AS (
    INSERT INTO booking_contact AS c (show_id, booking_id, email, locale, address_no)
    VALUES ($1, $2, $3, $4, CASE WHEN $3::text IS NULL THEN 0 ELSE 1 END)
    ON CONFLICT ON CONSTRAINT booking_contact_pkey
    DO UPDATE SET email = excluded.email, locale = excluded.locale, changed_at = now(),
                  address_no = c.address_no + (c.email IS DISTINCT FROM excluded.email)::integer
            WHERE c.email IS NOT DISTINCT FROM excluded.email OR c.address_no < $5 OR $5 IS NULL
    RETURNING true
)
SELECT CASE WHEN EXISTS (SELECT FROM given) THEN status = 'CONFIRMED' END
  FROM booking WHERE show_id = $1 AND id = $2 FOR UPDATE
"""


async def set_contact(
    conn: Connection, show_id: UUID, booking_id: UUID, *, email: str | None, locale: str, by_staff: bool = False
) -> None:
    """Write to this address about the booking; None: to the account's.

    A booking that is confirmed already has its tickets mailed there now, unless they were before. Staff may give any
    number of addresses.

    Raises:
        MalformedError: the address is none.
        AddressesUsedUpError: it would be one more than `ADDRESSES_MAX`; the one before stays.
    """
    address = None if email is None else checked_email(email)
    most = None if by_staff else ADDRESSES_MAX
    confirmed: bool | None = await conn.fetchval(_SET, show_id, booking_id, address, locale, most)
    if confirmed is None:
        raise AddressesUsedUpError("it stays as it was; the box office can change it", limit=ADDRESSES_MAX)
    if confirmed:
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
