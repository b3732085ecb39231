"""What waits for a person is counted and listed until a person says how it was settled; no money moves by that."""

import asyncio
from uuid import UUID

import httpx
import make
import pytest
from prometheus_client import REGISTRY
from workers import StubGateway, at_work, make_jobs, owe, told, until

from boxoffice.audit import operator
from boxoffice.bookings import reconciliation
from boxoffice.bookings.waiting import (
    TO_LOOK_AT,
    MatterResolvedError,
    MatterUnderWayError,
    MatterUnknownError,
    count_waiting,
    list_waiting,
    resolve,
)
from boxoffice.payments.gateway import GatewayRefusedError
from boxoffice.payments.ledger import balances, check_ledger
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool

NOTE = "paid by transfer, receipt 4711"


class Troubles:
    """A booking with one matter of each kind."""

    def __init__(self, client: httpx.AsyncClient, pool: Pool) -> None:
        self.client, self.pool = client, pool

    async def befall(self) -> "Troubles":
        self.show, buyer = await make.show(self.pool), await make.guest(self.client)
        booking = await make.paid_booking(self.client, buyer, self.show, self.show.seats[0])
        session = booking["session"]
        self.payment = UUID(session["paymentId"])
        wrong = make.event(session, booking["id"], amount=1)
        self.stray = make.event(session, booking["id"], sessionId="sess_unheard_of")
        harmless = make.event(session, booking["id"], "payment.expired", sessionId="sess_unheard_of")
        for event in (wrong, self.stray, harmless):
            assert (await make.deliver(self.client, event)).json() == {"status": "ignored"}
        answer = await self.client.post(f"/api/v1/payments/refund/{booking['id']}", headers=buyer.headers)
        self.refund = UUID(answer.json()["refundId"])
        refusing = {"fake": StubGateway(GatewayRefusedError("the account is closed"))}
        await send_refund(self.pool, refusing, self.show.id, self.refund)
        await self.differ("100 refunded there, 0 here")
        self.names = [
            f"event:fake:{wrong['eventId']}",
            f"stray:{await self.pool.fetchval('SELECT id FROM stray_event WHERE needs_look')}",
            f"refund:{self.refund}",
            f"difference:{self.payment}:another_refund",
        ]
        return self

    async def differ(self, how: str) -> None:
        """The nightly asking finds a difference."""
        await self.pool.execute(reconciliation._KEEP, self.show.id, self.payment, "another_refund", how)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def waiting(self) -> list[str]:
        async with self.pool.acquire() as conn:
            listed = [matter.id for matter in await list_waiting(conn)]
        assert await count_waiting(self.pool) == len(listed)
        return listed

    async def money(self) -> object:
        """All that is known of it."""
        async with self.pool.acquire() as conn:
            rows = await conn.fetch("SELECT status, amount, refunded_amount FROM payment")
            refunds = await conn.fetch("SELECT status, amount, settled_at FROM refund")
            ledger = await conn.fetch("SELECT * FROM ledger_entry ORDER BY written_at, kind")
            return rows, refunds, ledger, await balances(conn)


@pytest.fixture
async def troubles(client: httpx.AsyncClient, pool: Pool) -> Troubles:
    return await Troubles(client, pool).befall()


async def test_what_waits_is_counted_by_name_until_it_is_resolved_and_no_money_moves(troubles: Troubles) -> None:
    assert await troubles.waiting() == troubles.names
    before = await troubles.money()
    for number, name in enumerate(troubles.names, 1):
        matter = await resolve(troubles.pool, name, NOTE, operator())
        assert matter.resolved_at is not None
        assert await troubles.waiting() == troubles.names[number:]
    assert REGISTRY.get_sample_value("boxoffice_money_to_look_at") == 0
    assert await troubles.money() == before
    assert await troubles.pool.fetchval("SELECT status FROM refund") == "FAILED"


async def test_who_resolved_what_and_how_is_written_down(troubles: Troubles) -> None:
    for name in troubles.names:
        await resolve(troubles.pool, name, NOTE, operator())
    entries = await troubles.pool.fetch("SELECT * FROM audit_entry ORDER BY id")
    assert [entry["details"]["matter"] for entry in entries] == troubles.names
    stray = UUID(troubles.names[1].removeprefix("stray:"))
    assert [(entry["subject_kind"], entry["subject_id"]) for entry in entries] == [
        ("payment", troubles.payment),
        ("stray_event", stray),
        ("payment", troubles.payment),
        ("payment", troubles.payment),
    ]
    for entry in entries:
        assert (entry["action"], entry["actor_role"], entry["details"]["note"]) == ("matter.resolve", "operator", NOTE)


async def test_it_is_resolved_once_also_by_two_at_once(troubles: Troubles) -> None:
    for name in troubles.names:
        tries = [resolve(troubles.pool, name, NOTE, operator()) for _ in range(2)]
        told = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == ["Matter", "MatterResolvedError"]
        with pytest.raises(MatterResolvedError, match=f"{name} was resolved before, at 20"):
            await resolve(troubles.pool, name, NOTE, operator())
    assert await troubles.pool.fetchval("SELECT count(*) FROM audit_entry") == len(troubles.names)


async def test_what_does_not_wait_cannot_be_resolved(troubles: Troubles) -> None:
    harmless = await troubles.pool.fetchval("SELECT id FROM stray_event WHERE NOT needs_look")
    good = await troubles.pool.fetchval("SELECT event_id FROM payment_event WHERE NOT needs_look LIMIT 1")
    for name in (f"stray:{harmless}", f"event:fake:{good}", f"refund:{troubles.payment}", "refund", "", "%"):
        with pytest.raises(MatterUnknownError):
            await resolve(troubles.pool, name, NOTE, operator())
    assert await troubles.waiting() == troubles.names
    assert await troubles.pool.fetchval("SELECT count(*) FROM audit_entry") == 0


async def test_a_difference_that_is_as_it_was_stays_resolved_and_another_one_waits_again(troubles: Troubles) -> None:
    name = troubles.names[-1]
    await resolve(troubles.pool, name, NOTE, operator())
    await troubles.differ("100 refunded there, 0 here")
    assert name not in await troubles.waiting()
    await troubles.differ("200 refunded there, 0 here")
    assert name in await troubles.waiting()


async def test_a_ledger_that_disagrees_counts_until_it_agrees_when_looked_at_again(troubles: Troubles) -> None:
    await troubles.pool.execute("UPDATE payment SET amount = amount + 1")
    (found,) = await check_ledger(troubles.pool)
    assert found.show_id == troubles.show.id
    assert await count_waiting(troubles.pool) == len(troubles.names) + 1
    assert len(await check_ledger(troubles.pool)) == 1
    assert await count_waiting(troubles.pool) == len(troubles.names) + 1
    await troubles.pool.execute("UPDATE payment SET amount = amount - 1")
    assert await check_ledger(troubles.pool) == []
    assert await count_waiting(troubles.pool) == len(troubles.names)


async def test_each_worker_tells_what_waits_as_soon_as_it_starts(troubles: Troubles, dsn: str) -> None:
    TO_LOOK_AT.set(0)

    async def told() -> bool:
        return REGISTRY.get_sample_value("boxoffice_money_to_look_at") == len(troubles.names)

    async with at_work(make_jobs(troubles.pool, dsn)):
        await until(told)


async def test_a_refund_that_is_not_done_after_a_day_waits_until_it_ends(pool: Pool) -> None:
    owed = await owe(pool)
    await pool.execute("UPDATE refund SET created_at = now() - interval '23 hours'")
    assert await count_waiting(pool) == 0
    await pool.execute("UPDATE refund SET created_at = now() - interval '25 hours'")
    assert await count_waiting(pool) == 1
    async with pool.acquire() as conn:
        (matter,) = await list_waiting(conn)
    assert (matter.id, matter.payment_id) == (f"refund:{owed.refund_id}", owed.payment_id)
    with pytest.raises(MatterUnderWayError):
        await resolve(pool, matter.id, NOTE, operator())
    assert await count_waiting(pool) == 1
    await told(pool, owed, refund_id=owed.refund_id, amount=500)
    assert await count_waiting(pool) == 0
