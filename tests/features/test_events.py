"""An event takes effect exactly once and only if it agrees with our books; it never harms another's booking."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import make
import pytest

from boxoffice.postgres.pool import Pool


class Case:
    """An unpaid booking with an open session."""

    def __init__(self, client: httpx.AsyncClient, pool: Pool) -> None:
        self.client, self.pool = client, pool

    async def open(self, seats: int = 1) -> "Case":
        self.show, self.buyer = await make.show(self.pool), await make.guest(self.client)
        self.booking = await make.booking(self.client, self.buyer, self.show, *self.show.seats[:seats])
        self.session = await make.session(self.client, self.buyer, self.booking["id"])
        return self

    async def send(self, kind: str = "payment.success", **changes: Any) -> str:
        event = make.event(self.session, self.booking["id"], kind, **changes)
        answer = await make.deliver(self.client, event)
        assert answer.status_code == 200, answer.text
        return answer.json()["status"]

    async def status(self) -> str:
        return (await make.see(self.client, self.buyer, self.booking["id"]))["status"]


@pytest.fixture
async def case(client: httpx.AsyncClient, pool: Pool) -> Case:
    return await Case(client, pool).open()


async def test_an_event_confirms_and_its_replay_is_a_duplicate(case: Case) -> None:
    event = make.event(case.session, case.booking["id"])
    first = await make.deliver(case.client, event)
    again = await make.deliver(case.client, event)
    assert (first.json(), again.json()) == ({"status": "processed"}, {"status": "duplicate"})
    assert await case.status() == "CONFIRMED"


async def test_eight_at_once_take_effect_once(case: Case) -> None:
    event = make.event(case.session, case.booking["id"])
    answers = await asyncio.gather(*(make.deliver(case.client, event) for _ in range(8)))
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 7 + ["processed"]


async def test_another_event_about_a_payment_that_succeeded_changes_nothing(case: Case) -> None:
    assert await case.send() == "processed"
    assert await case.send() == "ignored"
    assert await case.send("payment.failed") == "ignored"
    assert await case.send("payment.expired") == "ignored"
    assert await case.status() == "CONFIRMED"
    assert await case.pool.fetchval("SELECT count(*) FROM refund") == 0


async def test_a_replay_after_the_refund_does_not_confirm_again(case: Case) -> None:
    event = make.event(case.session, case.booking["id"])
    await make.deliver(case.client, event)
    refunded = await case.client.post(f"/api/v1/payments/refund/{case.booking['id']}", headers=case.buyer.headers)
    assert refunded.status_code == 200
    assert (await make.deliver(case.client, event)).json() == {"status": "duplicate"}
    assert await case.send() == "ignored"
    assert await case.status() == "REFUNDED"
    assert await case.pool.fetchval("SELECT count(*) FROM show_seat WHERE taken_until > now()") == 0


@pytest.mark.parametrize(
    "lie", [{"amount": 1}, {"amount": make.PRICE - 1}, {"currency": "USD"}, {"bookingId": str(uuid4())}]
)
async def test_an_event_that_contradicts_our_books_changes_nothing_and_is_kept(case: Case, lie: dict[str, Any]) -> None:
    assert await case.send(**lie) == "ignored"
    assert await case.status() == "PENDING"
    kept = await case.pool.fetchrow("SELECT needs_look, outcome FROM payment_event")
    assert kept is not None
    assert kept["needs_look"]


async def test_an_event_that_names_another_booking_harms_neither(client: httpx.AsyncClient, pool: Pool) -> None:
    mine, theirs = await Case(client, pool).open(), await Case(client, pool).open()
    assert await mine.send(bookingId=theirs.booking["id"]) == "ignored"
    assert await mine.send("payment.expired", bookingId=theirs.booking["id"]) == "ignored"
    assert (await mine.status(), await theirs.status()) == ("PENDING", "PENDING")


async def test_an_event_about_no_session_of_ours_is_kept_for_a_person(case: Case) -> None:
    event = make.event(case.session, case.booking["id"], sessionId="sess_unheard_of")
    assert (await make.deliver(case.client, event)).json() == {"status": "ignored"}
    assert (await make.deliver(case.client, event)).json() == {"status": "duplicate"}
    assert await case.pool.fetchval("SELECT count(*) FROM stray_event") == 1
    assert await case.status() == "PENDING"


async def test_an_old_session_that_expires_does_not_harm_a_paid_booking(case: Case) -> None:
    first = case.session
    await case.send("payment.failed")
    case.session = await make.session(case.client, case.buyer, case.booking["id"])
    await case.send()
    late = make.event(first, case.booking["id"], "payment.expired")
    assert (await make.deliver(case.client, late)).json() == {"status": "ignored"}
    assert await case.status() == "CONFIRMED"


async def test_an_old_session_that_expires_does_not_end_a_booking_being_paid(case: Case) -> None:
    first = case.session
    await case.send("payment.failed")
    case.session = await make.session(case.client, case.buyer, case.booking["id"])
    late = make.event(first, case.booking["id"], "payment.expired")
    assert (await make.deliver(case.client, late)).json() == {"status": "ignored"}
    assert await case.status() == "PENDING"
    assert await case.send() == "processed"
    assert await case.status() == "CONFIRMED"


async def test_a_failed_payment_adds_five_minutes_at_most_twice_to_booking_and_seats(case: Case) -> None:
    added: list[float] = []
    for _ in range(3):
        before = await case.pool.fetchval("SELECT expires_at FROM booking")
        assert await case.send("payment.failed") == "processed"
        after = await case.pool.fetchval("SELECT expires_at FROM booking")
        added.append((after - before).total_seconds())
        leases = await case.pool.fetch("SELECT DISTINCT taken_until FROM show_seat WHERE taken_until > now()")
        assert [lease["taken_until"] for lease in leases] == [after]
        case.session = await make.session(case.client, case.buyer, case.booking["id"])
    assert added == [300, 300, 0]
    assert await case.status() == "PENDING"


async def test_a_payment_that_expires_ends_the_booking_and_frees_its_seats_at_once(case: Case) -> None:
    assert await case.send("payment.expired") == "processed"
    assert await case.status() == "EXPIRED"
    other = await make.guest(case.client)
    assert (await make.book(case.client, other, case.show, case.show.seats[0])).status_code == 201


async def test_a_failure_after_the_time_ran_out_gives_no_more_time(case: Case) -> None:
    await make.lapse(case.pool, case.show)
    assert await case.send("payment.failed") == "processed"
    assert await case.status() == "EXPIRED"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v1=",
        "v1=00",
        "t=abc,v1=abc",
        "t=NOW,v1=0000000000000000000000000000000000000000000000000000000000000000",
        "t=NOW",
        "\u00e9",
    ],
)
async def test_a_bad_signature_is_401_and_nothing_happens(case: Case, header: str | None) -> None:
    headers = (
        {}
        if header is None
        else {"X-Payment-Signature": header.replace("NOW", str(int(time.time()))).encode("latin-1")}
    )
    answer = await case.client.post(
        "/api/v1/payments/webhook",
        json=make.event(case.session, case.booking["id"]),
        headers=headers,  # type: ignore[arg-type]  (bytes are fine)
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert await case.status() == "PENDING"


async def test_a_signature_of_another_secret_or_another_time_is_401(case: Case) -> None:
    event = make.event(case.session, case.booking["id"])
    now = int(time.time())
    assert (await make.deliver(case.client, event, secret="another")).status_code == 401
    assert (await make.deliver(case.client, event, at=now - 301)).status_code == 401
    assert (await make.deliver(case.client, event, at=now + 302)).status_code == 401
    assert await case.status() == "PENDING"
    assert (await make.deliver(case.client, event, at=now - 290)).json() == {"status": "processed"}


async def test_the_signature_is_over_the_raw_bytes(case: Case) -> None:
    event = make.event(case.session, case.booking["id"])
    fields = ", ".join(
        f'"{key}" :  {f"{value}" if isinstance(value, int) else f"{value!r}"}' for key, value in event.items()
    )
    odd = ("{ " + fields + "\n}").replace("'", '"').encode()
    assert (await make.deliver(case.client, odd)).json() == {"status": "processed"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"eventId": 5}',
        b'{"eventId": "a\\u0000b"}',
        b"[" * 10_000,
        b'{"a":' * 10_000,
    ],
)
async def test_signed_nonsense_is_400(case: Case, body: bytes) -> None:
    answer = await make.deliver(case.client, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_event")


async def test_a_nul_in_a_signed_event_is_400_and_not_a_crash(case: Case) -> None:
    for field in ("eventId", "sessionId", "gatewayRef", "currency"):
        event = make.event(case.session, case.booking["id"], **{field: "a\x00b"})
        assert (await make.deliver(case.client, event)).status_code == 400
