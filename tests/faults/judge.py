"""After a run: what was acknowledged is there, no seat was sold twice, the money adds up, who paid is seated or repaid.

The judge reads the recorded history and the tables. It knows nothing of the faults.
"""

import asyncio
import time
from collections import Counter
from typing import Any, Final
from uuid import UUID

from crowd import Buyer, History

from boxoffice.postgres.pool import Connection

SETTLED_WITHIN_S: Final = 240.0
"""A job whose worker was killed is found within a minute and a half, and the gateway repeats with growing waits."""

_UNSETTLED: Final = """
SELECT (SELECT count(*) FROM refund WHERE status = 'PENDING')
     + (SELECT count(*) FROM fake_delivery WHERE delivered_at IS NULL)
     + (SELECT count(*) FROM fake_session f WHERE f.status = 'paid'
           AND NOT EXISTS (SELECT FROM payment p WHERE p.session_id = f.id AND p.status = 'SUCCEEDED'))
"""

# Money that the gateway has: is its booking seated by it, or has all of it gone back?
_PAID_AND_NEITHER: Final = """
SELECT f.id FROM fake_session f
  JOIN payment p ON p.session_id = f.id
  JOIN booking b ON b.show_id = p.show_id AND b.id = p.booking_id
 WHERE f.status = 'paid'
   AND NOT (b.status IN ('CONFIRMED', 'REFUNDED') AND b.paid_by = p.id)
   AND NOT EXISTS (SELECT FROM refund r WHERE r.show_id = p.show_id AND r.payment_id = p.id
                      AND r.status = 'SUCCEEDED' AND r.amount = p.amount)
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

_MONEY: Final = """
SELECT (SELECT coalesce(sum(amount), 0)::bigint FROM fake_session WHERE status = 'paid') AS gateway_in,
       (SELECT coalesce(sum(amount), 0)::bigint FROM fake_refund) AS gateway_back,
       (SELECT coalesce(sum(amount), 0)::bigint FROM payment WHERE status = 'SUCCEEDED') AS our_in,
       (SELECT coalesce(sum(amount), 0)::bigint FROM refund WHERE status = 'SUCCEEDED') AS our_back,
       (SELECT count(*) FROM fake_session WHERE refunded_amount > amount) AS over_refunded,
       (SELECT count(*) FROM refund WHERE status = 'FAILED') AS refused
"""


async def settle(conn: Connection, buyers: list[Buyer], history: History) -> float:
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
    while await conn.fetchval(_UNSETTLED):
        assert time.monotonic() - began < SETTLED_WITHIN_S, "money is on its way still"
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def _unknown(line: dict[str, Any]) -> bool:
    return line["status"] == 0 or line["status"] >= 500 or line["status"] == 429


async def violations(conn: Connection, history: History) -> list[str]:
    """Everything that must not be, in words."""
    return [
        *await _lost(conn, history),
        *await _sold_twice(conn),
        *await _money(conn),
        *(f"paid, and neither seated nor repaid: {row['id']}" for row in await conn.fetch(_PAID_AND_NEITHER)),
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


async def _money(conn: Connection) -> list[str]:
    money = await conn.fetchrow(_MONEY)
    assert money is not None
    found: list[str] = []
    if (money["gateway_in"], money["gateway_back"]) != (money["our_in"], money["our_back"]):
        found.append(f"the gateway's money and ours differ: {dict(money)}")
    if money["over_refunded"] or money["refused"]:
        found.append(f"more went back than was paid, or a refund was refused: {dict(money)}")
    return found
