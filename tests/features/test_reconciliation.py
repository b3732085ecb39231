"""Webhooks are hints: what they did not tell is asked for, mended or left for a person; and the ledger balances."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import make
import msgspec
import pytest

from boxoffice.audit import operator
from boxoffice.bookings.reconciliation import (
    _FINISHED,  # pyright: ignore[reportPrivateUsage]
    _FIRST,  # pyright: ignore[reportPrivateUsage]
    ASKED_A_RUN,
    Reconciled,
    reconcile_finished,
    reconcile_unfinished,
)
from boxoffice.bookings.waiting import count_waiting, list_waiting, resolve
from boxoffice.payments.gateway import EventType, Gateway, GatewayDownError, Session, SessionRequest, Standing
from boxoffice.payments.ledger import balances, disagreements
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office

NOW = timedelta(0)


class Case:
    """An unpaid booking whose gateway's webhooks do not arrive."""

    def __init__(self, office: Office, client: httpx.AsyncClient, pool: Pool, wire: Any) -> None:
        self.office, self.client, self.pool, self.wire = office, client, pool, wire

    async def open(self) -> "Case":
        self.show, self.buyer = await make.show(self.pool), await make.guest(self.client)
        self.booking = await make.booking(self.client, self.buyer, self.show, self.show.seats[0])
        self.session = await make.session(self.client, self.buyer, self.booking["id"])
        self.id = UUID(self.booking["id"])
        self.wire.other_end = None
        return self

    async def decide(self, what: EventType) -> None:
        assert self.office.simulated is not None
        await self.office.simulated.decide(self.session["sessionId"], what)

    async def ask(self) -> Reconciled:
        return await reconcile_unfinished(self.pool, self.office.gateways, patience=NOW)

    async def ask_of_yesterday(self) -> Reconciled:
        return await reconcile_finished(self.pool, self.office.gateways, datetime.now(UTC) - timedelta(days=1))

    async def status(self) -> tuple[str, str]:
        found = await self.pool.fetchrow(
            "SELECT b.status, p.status AS paid FROM booking b JOIN payment p ON p.booking_id = b.id WHERE b.id = $1",
            self.id,
        )
        assert found is not None
        return found["status"], found["paid"]

    async def accounts(self) -> dict[str, int]:
        async with self.pool.acquire() as conn:
            assert await disagreements(conn) == []
            return {account.account: account.balance for account in await balances(conn)}

    async def issues(self) -> list[str]:
        async with self.pool.acquire() as conn:
            return [matter.id for matter in await list_waiting(conn)]

    def say(self, **lies: Any) -> None:
        """Have the gateway say other things of its sessions when asked."""
        self.office.gateways["fake"] = Liar(self.office.gateways["fake"], lies)


class Liar:
    """The gateway, which says what it is told to."""

    def __init__(self, inner: Gateway, lies: dict[str, Any]) -> None:
        self.inner, self.lies = inner, lies
        self.name, self.page_origins, self.captures_at_once = inner.name, inner.page_origins, inner.captures_at_once
        self.open_session, self.capture, self.void = inner.open_session, inner.capture, inner.void
        self.refund, self.close, self.verify = inner.refund, inner.close, inner.verify

    async def fetch(self, session_id: str) -> Standing:
        if self.lies.get("down"):
            raise GatewayDownError("no answer")
        return msgspec.structs.replace(await self.inner.fetch(session_id), **self.lies)


@pytest.fixture
async def case(office: Office, client: httpx.AsyncClient, pool: Pool, wire: Any) -> Case:
    return await Case(office, client, pool, wire).open()


async def test_a_lost_success_is_asked_for_and_confirms(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    assert await case.status() == ("PENDING", "OPEN")
    assert (await case.ask()).mended == 1
    assert await case.status() == ("CONFIRMED", "SUCCEEDED")
    assert await case.accounts() == {"gateway": make.PRICE, "sales": -make.PRICE}


async def test_whoever_asks_by_hand_is_written_down_with_what_is_mended(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    for _ in range(2):
        await reconcile_unfinished(case.pool, case.office.gateways, patience=NOW, by=operator())
    (entry,) = await case.pool.fetch("SELECT * FROM audit_entry")
    assert (entry["actor_role"], entry["action"]) == ("operator", "payment.mend")
    assert str(entry["subject_id"]) == case.session["paymentId"]
    assert entry["details"]["event"] == "payment.success"


async def test_the_webhook_that_comes_after_all_changes_nothing(case: Case, app: Any) -> None:
    await case.decide(EventType.SUCCESS)
    await case.ask()
    event = make.event(case.session, case.booking["id"])
    assert (await make.deliver(case.client, event)).json() == {"status": "ignored"}
    assert await case.accounts() == {"gateway": make.PRICE, "sales": -make.PRICE}


async def test_a_lost_success_that_is_too_late_is_refunded(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    await case.pool.execute("UPDATE booking SET expires_at = now() - interval '1 h'")
    await case.pool.execute("UPDATE show_seat SET taken_until = now() - interval '1 h' WHERE booking_id = $1", case.id)
    other = await make.guest(case.client)
    await make.booking(case.client, other, case.show, case.show.seats[0])
    assert (await case.ask()).mended == 1
    refund = await case.pool.fetchrow("SELECT show_id, id, reason FROM refund")
    assert refund is not None
    assert refund["reason"] == "paid_too_late"
    assert await case.accounts() == {"gateway": make.PRICE, "owed": -make.PRICE}
    await send_refund(case.pool, case.office.gateways, refund["show_id"], refund["id"])
    assert await case.accounts() == {"gateway": 0, "owed": 0}


async def test_a_session_that_outlives_its_booking_is_closed_at_the_gateway(case: Case) -> None:
    cancelled = await case.client.patch(f"/api/v1/bookings/{case.id}/cancel", headers=case.buyer.headers)
    assert cancelled.status_code == 200
    assert (await reconcile_unfinished(case.pool, case.office.gateways)).mended == 1
    assert await case.status() == ("CANCELLED", "EXPIRED")
    assert (await case.office.gateways["fake"].fetch(case.session["sessionId"])).state.final


async def test_one_that_is_open_and_awaited_is_left_alone_and_not_asked_again_at_once(case: Case) -> None:
    assert await case.ask() == Reconciled(asked=1, agreed=1)
    assert await case.ask() == Reconciled()
    assert await case.status() == ("PENDING", "OPEN")


async def test_a_gateway_that_is_down_is_asked_another_time(case: Case) -> None:
    case.say(down=True)
    assert await case.ask() == Reconciled(asked=1, unanswered=1)
    assert await case.status() == ("PENDING", "OPEN")


class Slow:
    """The gateway, which opens a session at once and answers only when it is let."""

    def __init__(self, inner: Gateway) -> None:
        self.inner, self.opened, self.let = inner, asyncio.Event(), asyncio.Event()
        self.name, self.page_origins, self.captures_at_once = inner.name, inner.page_origins, inner.captures_at_once
        self.capture, self.void, self.fetch, self.close = inner.capture, inner.void, inner.fetch, inner.close
        self.refund, self.verify = inner.refund, inner.verify

    async def open_session(self, request: SessionRequest) -> Session:
        session = await self.inner.open_session(request)
        self.opened.set()
        await self.let.wait()
        return session


async def test_nobody_is_sent_to_pay_a_session_that_was_given_up_while_the_gateway_was_slow(case: Case) -> None:
    booking = await make.booking(case.client, case.buyer, case.show, case.show.seats[1])
    case.office.gateways["fake"] = slow = Slow(case.office.gateways["fake"])
    asked = case.client.post("/api/v1/payments/initiate", json={"bookingId": booking["id"]}, headers=case.buyer.headers)
    asking = asyncio.create_task(asked)
    await slow.opened.wait()
    await case.pool.execute(
        "UPDATE booking SET status = 'EXPIRED', ended_at = now() WHERE id = $1", UUID(booking["id"])
    )
    await case.ask()
    slow.let.set()
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (409, "booking_not_payable")
    payment = await case.pool.fetchrow(
        "SELECT status, session_id FROM payment WHERE booking_id = $1", UUID(booking["id"])
    )
    assert payment is not None
    # It is known all the same, so that money which came there after all would find its booking.
    assert (payment["status"], payment["session_id"] is not None) == ("FAILED", True)


async def test_a_payment_that_was_opened_nowhere_is_given_up_with_its_booking(case: Case) -> None:
    await case.pool.execute("UPDATE payment SET status = 'OPENING', session_id = NULL, payment_url = NULL")
    await case.pool.execute("UPDATE booking SET status = 'EXPIRED', ended_at = now()")
    assert (await case.ask()).mended == 1
    assert await case.status() == ("EXPIRED", "FAILED")


async def test_a_payment_that_failed_here_and_succeeded_there_is_found_in_the_night(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    await case.pool.execute("UPDATE payment SET status = 'EXPIRED', settled_at = now()")
    assert await case.ask() == Reconciled()
    assert (await case.ask_of_yesterday()).mended == 1
    assert await case.status() == ("CONFIRMED", "SUCCEEDED")
    assert await case.ask_of_yesterday() == Reconciled(asked=1, agreed=1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"amount": 1}, "another_amount"),
        ({"currency": "USD"}, "another_amount"),
        ({"state": "expired"}, "not_paid_there"),
        ({"refunded_amount": 100}, "another_refund"),
    ],
)
async def test_what_cannot_be_mended_waits_for_a_person(case: Case, said: dict[str, Any], kind: str) -> None:
    await case.decide(EventType.SUCCESS)
    await case.ask()
    case.say(**said)
    for _ in range(2):
        assert (await case.ask_of_yesterday()).issues == 1
    (name,) = await case.issues()
    assert name == f"difference:{case.session['paymentId']}:{kind}"
    assert await count_waiting(case.pool) == 1
    await resolve(case.pool, name, "seen to", operator())
    assert (await case.ask_of_yesterday()).issues == 1
    assert await count_waiting(case.pool) == 0
    assert await case.status() == ("CONFIRMED", "SUCCEEDED")


async def test_the_ledger_follows_a_refund_from_its_decision_to_the_gateway_and_back(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    await case.ask()
    answer = await case.client.post(f"/api/v1/payments/refund/{case.id}", headers=case.buyer.headers)
    assert answer.status_code == 200
    assert await case.accounts() == {"gateway": make.PRICE, "owed": -make.PRICE, "sales": 0}
    refund_id = UUID(answer.json()["refundId"])
    await send_refund(case.pool, case.office.gateways, case.show.id, refund_id)
    assert await case.accounts() == {"gateway": 0, "owed": 0, "sales": 0}


async def test_the_ledger_is_only_added_to(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    await case.ask()
    for statement in (
        "UPDATE ledger_entry SET amount = amount + 1",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await case.pool.execute(statement)


async def test_what_was_over_lately_is_found_without_reading_all_that_ever_was(case: Case) -> None:
    await case.pool.execute(
        """INSERT INTO payment (show_id, booking_id, gateway, session_id, status, amount, currency, expires_at,
                                settled_at)
           SELECT show_id, booking_id, gateway, 'sess_' || n, 'EXPIRED', amount, currency, expires_at,
                  now() - make_interval(hours => n)
             FROM payment, generate_series(1, 5000) n"""
    )
    await case.pool.execute("ANALYZE payment")
    now = datetime.now(UTC)
    plan = await case.pool.fetchval(
        f"EXPLAIN (FORMAT JSON) {_FINISHED}", now - timedelta(hours=26), _FIRST, _FIRST, now, ASKED_A_RUN
    )
    assert "payment_settled_idx" in plan
    assert "Seq Scan" not in plan
    case.say(state="expired")
    assert (await case.ask_of_yesterday()).asked == 23


async def test_the_ledger_is_added_up_in_parts_that_leave_no_show_out(case: Case) -> None:
    shows = [await make.show(case.pool) for _ in range(5)]
    for show in shows:
        await make.paid_booking(case.client, case.buyer, show, show.seats[0])
    await case.pool.execute("UPDATE payment SET amount = amount + 1 WHERE show_id = ANY($1)", [s.id for s in shows])
    async with case.pool.acquire() as conn:
        for shows_at_once in (1, 2, 3, 6, 7, 100):
            found = await disagreements(conn, shows_at_once=shows_at_once)
            assert [one.show_id for one in found] == sorted(show.id for show in shows)
            assert await balances(conn, shows_at_once=shows_at_once) == await balances(conn)
        assert {one.account: one.balance for one in await balances(conn)} == {
            "gateway": 5 * make.PRICE,
            "sales": -5 * make.PRICE,
        }


async def test_a_movement_that_the_rows_do_not_know_is_found(case: Case) -> None:
    await case.decide(EventType.SUCCESS)
    await case.ask()
    await case.pool.execute("UPDATE payment SET amount = amount + 1")
    async with case.pool.acquire() as conn:
        (found,) = await disagreements(conn)
    assert (found.held_by_rows, found.held_by_ledger) == (make.PRICE + 1, make.PRICE)
