"""Letters that cost nothing: a mailbox gets so many a day and no more, whoever names it and however often.

Anybody may name any address, and let bookings run out; no address is proven, an account's neither. So the letters
that nobody paid for are counted by mailbox, all processes together. Letters about money are never counted: a
payment is a price that nobody pays for a nuisance, and who has paid is told.
"""

from typing import Final
from uuid import UUID

from boxoffice.postgres.pool import Connection, Pool, connection

UNPAID_LETTERS_A_DAY: Final = 3
"""A day of UTC; so that there may be as many on either side of midnight."""


def mailbox_of(email: str) -> str:
    """What stays the same in all the ways of writing a mailbox's address that are widely known.

    Some hosts look away from dots, and from what follows a plus sign. Others do not, where two mailboxes then share
    one count: better than no limit at all where they do.
    """
    name, _, host = email.lower().rpartition("@")
    return f"{name.partition('+')[0].replace('.', '')}@{host}"


# Counts a letter to a mailbox, once for each day that it is tried on; no row: there were as many as there may be. Those
# who count for one mailbox at once wait for each other at its row.
_COUNT: Final = f"""
INSERT INTO unpaid_mail AS counted (day, mailbox, letters)
VALUES ((now() AT TIME ZONE 'UTC')::date, $1, ARRAY[$2::uuid])
ON CONFLICT ON CONSTRAINT unpaid_mail_pkey
DO UPDATE SET letters = CASE WHEN $2 = ANY(counted.letters) THEN counted.letters ELSE counted.letters || $2::uuid END
 WHERE $2 = ANY(counted.letters) OR cardinality(counted.letters) < {UNPAID_LETTERS_A_DAY}
RETURNING true
"""


async def count_unpaid(conn: Connection, email: str, mail_id: UUID) -> bool:
    """Count a letter that is about to go to an address; whether it may. Tried again it counts as the same."""
    return bool(await conn.fetchval(_COUNT, mailbox_of(email), mail_id))


# Yesterday stays, for transactions that began in it.
_FORGET: Final = """
DELETE FROM unpaid_mail WHERE day < (now() AT TIME ZONE 'UTC')::date - 1
"""


async def forget_unpaid(pool: Pool) -> None:
    """Forget who was written to on days that are over."""
    async with connection(pool) as conn:
        await conn.execute(_FORGET)
