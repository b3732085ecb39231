"""After a run: what was acknowledged is there, no seat was sold twice, the money adds up, who paid is seated or repaid.

The judge reads the recorded history and the tables. It knows nothing of the faults.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from crowd import Buyer, History
from gateway_house import GatewayHouse

from boxoffice.payments.ledger import balances, disagreements
from boxoffice.postgres.pool import Connection

SETTLED_WITHIN_S: Final = 240.0
"""Every wait after an attempt that failed is twice the one before, and a clock that was put back costs two minutes."""

_UNSETTLED: Final = """
SELECT (SELECT count(*) FROM refund WHERE status = 'PENDING')
     + (SELECT count(*) FROM payment WHERE status IN ('AUTHORISED', 'VOIDING'))
     + (SELECT count(*) FROM unnest($1::text[]) AS taken (session_id)
         WHERE NOT EXISTS (SELECT FROM payment p WHERE p.session_id = taken.session_id AND p.status = 'SUCCEEDED'))
"""

# Money that the gateway took: is its booking seated by it, or has all of it gone back?
_PAID_AND_NEITHER: Final = """
SELECT taken.session_id FROM unnest($1::text[]) AS taken (session_id)
 WHERE NOT EXISTS (
       SELECT FROM payment p JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
        WHERE p.session_id = taken.session_id
          AND (b.status IN ('CONFIRMED', 'REFUNDED') AND b.paid_by = p.id
               OR EXISTS (SELECT FROM refund r WHERE r.show_id = p.show_id AND r.payment_id = p.id
                             AND r.status = 'SUCCEEDED' AND r.amount = p.amount)))
"""

# The seats that confirmed bookings have not given back, with what the seat itself says.
_SOLD: Final = """
SELECT l.show_id, l.seat_id, l.booking_id,
       s.booking_id = l.booking_id AND s.taken_until = 'infinity' AND s.holder_id = b.user_id AS its_own
  FROM booking b JOIN booking_seat l ON l.show_id = b.show_id AND l.booking_id = b.id
  JOIN show_seat s ON s.show_id = l.show_id AND s.id = l.seat_id
  LEFT JOIN refund_seat r ON r.show_id = l.show_id AND r.booking_id = l.booking_id AND r.seat_id = l.seat_id
 WHERE b.status = 'CONFIRMED' AND r.seat_id IS NULL
"""

# What we say that a gateway took and gave back, by session.
_OURS: Final = """
SELECT p.session_id, p.amount AS taken, coalesce(sum(r.amount), 0)::bigint AS back
  FROM payment p
  LEFT JOIN refund r ON r.show_id = p.show_id AND r.payment_id = p.id AND r.status = 'SUCCEEDED'
 WHERE p.status = 'SUCCEEDED' GROUP BY p.show_id, p.id
"""
_FAKE: Final = """
SELECT f.id AS session_id, f.amount AS taken, coalesce(sum(r.amount), 0)::bigint AS back
  FROM fake_session f LEFT JOIN fake_refund r ON r.session_id = f.id WHERE f.status = 'paid' GROUP BY f.id
"""


@dataclass(frozen=True)
class Theirs:
    """The gateway's own books."""

    money: dict[str, tuple[int, int]]
    """By session: what it took, and what it gave back."""
    unsettled: int
    """What it has yet to tell us, or to be told by us."""


async def books_of(conn: Connection, house: GatewayHouse | None) -> Theirs:
    """Those of the gateway of this run; the built-in one has its tables beside ours."""
    if house is not None:
        back = house.given_back()
        money = {session: (taken, back.get(session, 0)) for session, taken in house.taken().items()}
        return Theirs(money, house.untold() + house.undecided())
    untold: int = await conn.fetchval("SELECT count(*) FROM fake_delivery WHERE delivered_at IS NULL")
    return Theirs({row["session_id"]: (row["taken"], row["back"]) for row in await conn.fetch(_FAKE)}, untold)


async def settle(conn: Connection, house: GatewayHouse | None, buyers: list[Buyer], history: History) -> float:
    """Every unknown outcome is asked for by its key, and what is on its way arrives; the seconds that this took."""
    began = time.monotonic()
    open_ends: dict[tuple[str, str], dict[str, Any]] = {}
    for line in history.lines:
        if line["key"] is not None:
            if _unknown(line):
                open_ends[line["buyer"], line["key"]] = line
            else:
                open_ends.pop((line["buyer"], line["key"]), None)
    by_name = {buyer.name: buyer for buyer in buyers}
    for line in open_ends.values():
        while True:
            said = await by_name[line["buyer"]].ask(
                line["what"], line["method"], line["path"], line["body"], key=line["key"]
            )
            if 200 <= said.status < 500 and said.status != 429:
                break
            assert time.monotonic() - began < SETTLED_WITHIN_S, f"no answer to {line}"
            await asyncio.sleep(0.5)
    while True:
        theirs = await books_of(conn, house)
        ours: int = await conn.fetchval(_UNSETTLED, list(theirs.money))
        if not ours and not theirs.unsettled:
            break
        assert time.monotonic() - began < SETTLED_WITHIN_S, f"{ours} and {theirs.unsettled} are on their way still"
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def _unknown(line: dict[str, Any]) -> bool:
    return line["status"] == 0 or line["status"] >= 500 or line["status"] == 429


async def violations(conn: Connection, house: GatewayHouse | None, history: History) -> list[str]:
    """Everything that must not be, in words."""
    return [
        *await _lost(conn, history),
        *await _sold_twice(conn),
        *await _money(conn, await books_of(conn, house)),
    ]


async def _lost(conn: Connection, history: History) -> list[str]:
    """Acknowledged means present; and nothing is present that nobody was told of."""
    found: list[str] = []
    bookings = {
        str(row["id"]): row for row in await conn.fetch("SELECT id, user_id, status, total_amount FROM booking")
    }
    refunds = {str(row["id"]): row for row in await conn.fetch("SELECT id, amount FROM refund")}
    sessions = {row["id"]: row["status"] for row in await conn.fetch("SELECT id, status FROM fake_session")}
    acknowledged: Counter[str] = Counter()
    for line in history.lines:
        told, ok = line["told"], 200 <= line["status"] < 300
        if not ok:
            continue
        match line["what"]:
            case "book":
                booking = bookings.get(told["id"])
                acknowledged[told["id"]] += 1
                if booking is None or (str(booking["user_id"]), booking["total_amount"]) != (
                    line["user"],
                    told["totalAmount"],
                ):
                    found.append(f"an acknowledged booking is not there: {line}")
            case "cancel" if _status(bookings, line) != "CANCELLED":
                found.append(f"an acknowledged cancellation is not there: {line}")
            case "refund" if told["refundId"] not in refunds:
                found.append(f"an acknowledged refund is not there: {line}")
            case "pay":
                session = line["path"].rpartition("/")[2]
                expected = {"success": "paid", "failed": "declined"}[line["body"]["result"]]
                if sessions.get(session) != expected:
                    found.append(f"an acknowledged payment is not there: {line}")
            case _:
                pass
    found += [f"a booking that nobody was told of: {one}" for one in bookings if one not in acknowledged]
    return found + _two_for_one_key(history)


def _two_for_one_key(history: History) -> list[str]:
    by_key: dict[tuple[str, str], set[str]] = {}
    for line in history.lines:
        if line["what"] == "book" and line["status"] == 201:
            by_key.setdefault((line["buyer"], line["key"]), set()).add(line["told"]["id"])
    return [f"one key, several bookings: {key}: {ids}" for key, ids in by_key.items() if len(ids) > 1]


def _status(bookings: dict[str, Any], line: dict[str, Any]) -> str | None:
    booking = bookings.get(line["path"].split("/")[2])
    return None if booking is None else booking["status"]


async def _sold_twice(conn: Connection) -> list[str]:
    sold: Counter[tuple[UUID, UUID]] = Counter()
    found: list[str] = []
    for row in await conn.fetch(_SOLD):
        sold[row["show_id"], row["seat_id"]] += 1
        if not row["its_own"]:
            found.append(f"confirmed, and the seat is not its own: {dict(row)}")
    return found + [f"sold {times} times: {seat}" for seat, times in sold.items() if times > 1]


async def _money(conn: Connection, theirs: Theirs) -> list[str]:
    ours = {row["session_id"]: (row["taken"], row["back"]) for row in await conn.fetch(_OURS)}
    found = [
        f"the gateway's money and ours differ: {session}: {theirs.money.get(session)} and {ours.get(session)}"
        for session in theirs.money.keys() | ours.keys()
        if theirs.money.get(session) != ours.get(session)
    ]
    found += [f"more went back than was paid: {session}" for session, (taken, back) in ours.items() if back > taken]
    neither = await conn.fetch(_PAID_AND_NEITHER, list(theirs.money))
    found += [f"paid, and neither seated nor repaid: {row['session_id']}" for row in neither]
    refused = await conn.fetch("SELECT id FROM refund WHERE status = 'FAILED'")
    found += [f"a refund was refused: {row['id']}" for row in refused]
    found += [f"the ledger says otherwise: {wrong}" for wrong in await disagreements(conn)]
    return found + [f"does not come to nought: {currency}" for currency in await _unbalanced(conn)]


async def _unbalanced(conn: Connection) -> list[str]:
    sums: Counter[str] = Counter()
    for account in await balances(conn):
        sums[account.currency] += account.balance
    return [currency for currency, total in sums.items() if total]
