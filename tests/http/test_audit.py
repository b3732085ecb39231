"""What staff do is written down, once, with the act; what buyers do is not. The API's document says what there is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import make
import pytest
from documented import operations, read_document

from boxoffice import audit
from boxoffice.audit import Action
from boxoffice.postgres.pool import Pool, connection
from boxoffice.seating.claims import SeatsWanted
from boxoffice.tickets.codes import TicketKeys
from boxoffice.web.office import Office

API = "/api/v1"
# What changes something, and is nobody's but the caller's: about oneself, or by a gateway.
NOBODYS = {
    "beGuest",
    "register",
    "login",
    "refresh",
    "logout",
    "webhook",
    "gatewayWebhook",
    "simulatePayment",
}
PROXY_ID = "an-id-of-the-proxy"


@dataclass
class Desk:
    """Somebody who works here, a buyer, and a show."""

    client: httpx.AsyncClient
    pool: Pool
    keys: TicketKeys
    staff: make.Buyer
    buyer: make.Buyer
    show: make.Show

    async def call(self, method: str, path: str, status: int = 200, **request: Any) -> dict[str, Any]:
        """As staff."""
        headers = self.staff.headers | {"X-Request-Id": PROXY_ID} | request.pop("headers", {})
        answer = await self.client.request(method, f"{API}{path}", headers=headers, **request)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def written(self) -> list[dict[str, Any]]:
        found = await self.pool.fetch("SELECT * FROM audit_entry ORDER BY id")
        return [dict(one) for one in found]

    def seats(self, *numbers: int) -> dict[str, Any]:
        return {"showId": str(self.show.id), "showSeatIds": [str(self.show.seats[one]) for one in numbers]}


@pytest.fixture
async def desk(client: httpx.AsyncClient, pool: Pool, office: Office) -> Desk:
    return Desk(
        client,
        pool,
        office.ticket_keys,
        await make.member(client, pool, "manager"),
        await make.guest(client),
        await make.show(pool),
    )


async def add_movie(desk: Desk) -> UUID:
    made = await desk.call("POST", "/movies", 201, json={"title": "Sholay", "durationMin": 204, "language": "Hindi"})
    return UUID(made["id"])


async def change_movie(desk: Desk) -> UUID:
    await desk.call("PATCH", f"/movies/{desk.show.movie_id}", json={"rating": "U"})
    return desk.show.movie_id


async def add_theatre(desk: Desk) -> UUID:
    body = {"name": "Regal", "city": "Mumbai", "timezone": "Asia/Kolkata"}
    return UUID((await desk.call("POST", "/theatres", 201, json=body))["id"])


async def change_theatre(desk: Desk) -> UUID:
    await desk.call("PATCH", f"/theatres/{desk.show.theatre_id}", json={"name": "New Regal"})
    return desk.show.theatre_id


async def add_screen(desk: Desk) -> UUID:
    body = {"name": "Two", "rows": [{"row": "A", "seats": [{"number": 1}, {"number": 2}]}]}
    made = await desk.call("POST", f"/theatres/{desk.show.theatre_id}/screens", 201, json=body)
    return UUID(made["id"])


async def change_screen(desk: Desk) -> UUID:
    path = f"/theatres/{desk.show.theatre_id}/screens/{desk.show.screen_id}"
    await desk.call("PATCH", path, json={"name": "Big"})
    return desk.show.screen_id


async def add_show(desk: Desk) -> UUID:
    body = {
        "movieId": str(desk.show.movie_id),
        "screenId": str(desk.show.screen_id),
        "startTime": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
        "prices": {"REGULAR": 1},
    }
    return UUID((await desk.call("POST", "/shows", 201, json=body))["id"])


async def change_show(desk: Desk) -> UUID:
    await desk.call("PATCH", f"/shows/{desk.show.id}", json={"prices": {"REGULAR": 30_000}})
    return desk.show.id


async def hold(desk: Desk) -> UUID:
    body = desk.seats(0, 1) | {"userId": str(desk.buyer.id)}
    await desk.call("POST", "/bookings/hold-seats", 201, json=body)
    return desk.buyer.id


async def release(desk: Desk) -> UUID:
    await make.hold(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await desk.call("DELETE", f"/bookings/holds/{desk.buyer.id}")
    return desk.buyer.id


async def book(desk: Desk) -> UUID:
    body = desk.seats(0, 1) | {"userId": str(desk.buyer.id)}
    made = await desk.call("POST", "/bookings", 201, json=body, headers={"Idempotency-Key": "till"})
    await desk.call("POST", "/bookings", 201, json=body, headers={"Idempotency-Key": "till"})  # the same again
    return UUID(made["id"])


async def cancel(desk: Desk) -> UUID:
    booking = await make.booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await desk.call("PATCH", f"/bookings/{booking['id']}/cancel")
    await desk.call("PATCH", f"/bookings/{booking['id']}/cancel")  # changes nothing
    return UUID(booking["id"])


async def contact(desk: Desk) -> UUID:
    booking = await make.booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await desk.call("PUT", f"/bookings/{booking['id']}/contact", json={"email": "asha@example.com"})
    return UUID(booking["id"])


async def pay(desk: Desk) -> UUID:
    booking = await make.booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await desk.call("POST", "/payments/initiate", 201, json={"bookingId": booking["id"]})
    await desk.call("POST", "/payments/initiate", 201, json={"bookingId": booking["id"]})  # the same session
    return UUID(booking["id"])


async def refund(desk: Desk) -> UUID:
    booking = await make.paid_booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await desk.call("POST", f"/payments/refund/{booking['id']}")
    return UUID(booking["id"])


async def check_in(desk: Desk) -> UUID:
    booking = await make.paid_booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    found = await desk.client.get(f"{API}/bookings/{booking['id']}/tickets", headers=desk.buyer.headers)
    for _ in range(2):  # who is in is in
        await desk.call("POST", "/tickets/check-in", json={"code": found.json()["tickets"][0]["code"]})
    return UUID(booking["id"])


ACTS: dict[str, tuple[Action, str, Callable[[Desk], Awaitable[UUID]]]] = {
    "addMovie": (Action.ADD_MOVIE, "movie", add_movie),
    "changeMovie": (Action.CHANGE_MOVIE, "movie", change_movie),
    "addTheatre": (Action.ADD_THEATRE, "theatre", add_theatre),
    "changeTheatre": (Action.CHANGE_THEATRE, "theatre", change_theatre),
    "addScreen": (Action.ADD_SCREEN, "screen", add_screen),
    "changeScreen": (Action.CHANGE_SCREEN, "screen", change_screen),
    "addShow": (Action.ADD_SHOW, "show", add_show),
    "changeShow": (Action.CHANGE_SHOW, "show", change_show),
    "holdSeats": (Action.HOLD_SEATS, "account", hold),
    "releaseHolds": (Action.RELEASE_SEATS, "account", release),
    "book": (Action.BOOK, "booking", book),
    "cancelBooking": (Action.CANCEL, "booking", cancel),
    "setContact": (Action.SET_CONTACT, "booking", contact),
    "initiatePayment": (Action.OPEN_PAYMENT, "booking", pay),
    "refundBooking": (Action.REFUND, "booking", refund),
    "checkIn": (Action.CHECK_IN, "booking", check_in),
}


def test_every_operation_that_changes_something_is_written_down_or_is_nobodys() -> None:
    changing = {one.name for one in operations(read_document()) if one.method != "get"}
    assert changing == set(ACTS) | NOBODYS


@pytest.mark.parametrize("name", ACTS)
async def test_an_act_of_staff_is_written_down_once(desk: Desk, name: str) -> None:
    action, kind, act = ACTS[name]
    began = datetime.now(UTC)
    subject = await act(desk)

    (entry,) = await desk.written()
    assert (entry["action"], entry["subject_kind"], entry["subject_id"]) == (action.value, kind, subject)
    assert (entry["actor_id"], entry["actor_role"]) == (desk.staff.id, "manager")
    assert entry["actor_email"].endswith("@boxoffice.example")
    assert (entry["request_id"], entry["address"]) == (PROXY_ID, "loopback")
    assert began - timedelta(seconds=5) < entry["at"] < datetime.now(UTC) + timedelta(seconds=5)


async def test_what_was_changed_is_told_in_the_details(desk: Desk) -> None:
    await change_show(desk)
    await hold(desk)
    await add_screen(desk)
    changed, held, made = [entry["details"] for entry in await desk.written()]
    assert changed == {"prices": {"REGULAR": 30_000}}
    assert set(held.pop("showSeatIds")) == set(desk.seats(0, 1)["showSeatIds"])
    assert held == {"userId": str(desk.buyer.id), "showId": str(desk.show.id)}
    assert made == {"theatreId": str(desk.show.theatre_id), "name": "Two", "seats": 2}


async def test_what_buyers_do_with_their_own_is_not(desk: Desk) -> None:
    mine = await make.paid_booking(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    await make.hold(desk.client, desk.buyer, desk.show, desk.show.seats[1])
    headers = desk.buyer.headers
    await desk.client.delete(f"{API}/bookings/holds/{desk.buyer.id}", headers=headers)
    await desk.client.put(f"{API}/bookings/{mine['id']}/contact", headers=headers, json={"email": "a@example.com"})
    assert (await desk.client.post(f"{API}/payments/refund/{mine['id']}", headers=headers)).status_code == 200
    given_up = await make.booking(desk.client, desk.buyer, desk.show, desk.show.seats[2])
    await desk.client.patch(f"{API}/bookings/{given_up['id']}/cancel", headers=headers)
    # Staff who go to the cinema are buyers, too.
    own = await make.paid_booking(desk.client, desk.staff, desk.show, desk.show.seats[3])
    assert (await desk.client.post(f"{API}/payments/refund/{own['id']}", headers=desk.staff.headers)).status_code == 200
    assert await desk.written() == []


async def test_what_fails_is_not(desk: Desk) -> None:
    await make.book(desk.client, desk.buyer, desk.show, desk.show.seats[0])
    unknown = str(uuid4())
    for_another = {"userId": str(desk.staff.id)}
    await desk.call("PATCH", f"/movies/{unknown}", 404, json={"rating": "U"})
    await desk.call("PATCH", f"/theatres/{desk.show.theatre_id}", 400, json={"timezone": "Mars"})
    await desk.call("PATCH", f"/shows/{desk.show.id}", 409, json={"startTime": "2027-01-01T00:00:00Z"})
    await desk.call("POST", "/bookings/hold-seats", 409, json=desk.seats(0) | {"userId": unknown})
    await desk.call("POST", "/bookings", 409, json=desk.seats(0) | {"userId": unknown})
    await desk.call("DELETE", f"/bookings/holds/{desk.buyer.id}")
    await desk.call("POST", f"/payments/refund/{unknown}", 404)
    await desk.call("POST", "/tickets/check-in", 400, json={"code": "rubbish"})
    answer = await desk.client.post(
        f"{API}/bookings/hold-seats", json=desk.seats(1) | for_another, headers=desk.buyer.headers
    )
    assert answer.status_code == 403
    assert await desk.written() == []


async def test_an_act_that_cannot_be_written_down_does_not_happen(desk: Desk) -> None:
    await desk.pool.execute("ALTER TABLE audit_entry ADD CONSTRAINT nothing CHECK (false) NOT VALID")
    for name in ACTS:
        if name not in {"releaseHolds", "cancelBooking", "setContact", "initiatePayment", "refundBooking", "checkIn"}:
            with pytest.raises(AssertionError):
                await ACTS[name][2](desk)
    assert await desk.pool.fetchval("SELECT count(*) FROM movie") == 1
    assert await desk.pool.fetchval("SELECT count(*) FROM show") == 1
    assert await desk.pool.fetchval("SELECT count(*) FROM booking") == 0


async def test_a_batch_writes_down_what_staff_sold_in_it_and_no_more(desk: Desk, office: Office) -> None:
    by = audit.Actor(user_id=desk.staff.id, role="staff", request_id="r", address="a")
    buyers = [await make.guest(desk.client) for _ in range(6)]
    wanted = [
        SeatsWanted(show_id=desk.show.id, user_id=one.id, seat_ids=[desk.show.seats[n]]) for n, one in enumerate(buyers)
    ]
    await asyncio.gather(
        *(
            office.claims.hold(one, length=timedelta(minutes=5), key=None, by=by if n % 2 else None)
            for n, one in enumerate(wanted)
        )
    )
    assert {entry["subject_id"] for entry in await desk.written()} == {buyers[n].id for n in (1, 3, 5)}


async def test_administrators_read_it_in_pages_and_by_filters(desk: Desk) -> None:
    admin = await make.member(desk.client, desk.pool, "admin")
    for act in (add_movie, change_show, hold, change_movie):
        await act(desk)

    async def listed(**query: str) -> dict[str, Any]:
        answer = await desk.client.get(f"{API}/audit", params=query, headers=admin.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    whole = (await listed())["items"]
    assert [one["action"] for one in whole] == ["movie.change", "seats.hold", "show.change", "movie.add"]
    assert whole[0]["actorId"] == str(desk.staff.id)

    pages: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await listed(limit="3", **cursor)
        pages += [one["action"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert pages == [one["action"] for one in whole]

    def actions(found: dict[str, Any]) -> list[str]:
        return [one["action"] for one in found["items"]]

    assert actions(await listed(action="show.change")) == ["show.change"]
    assert actions(await listed(subjectId=str(desk.show.movie_id))) == ["movie.change"]
    assert len(actions(await listed(actorId=str(desk.staff.id)))) == 4
    assert actions(await listed(actorId=str(desk.staff.id), subjectId=str(desk.show.id))) == ["show.change"]
    assert actions(await listed(actorId=str(uuid4()))) == []
    assert actions(await listed(to=whole[-1]["at"])) == []
    assert actions(await listed(**{"from": whole[0]["at"]})) == ["movie.change"]

    for query in (
        {"from": "2030-01-01T00:00:00"},
        {"to": "yesterday"},
        {"action": "x"},
        {"cursor": "x"},
        {"limit": "101"},
    ):
        refused = await desk.client.get(f"{API}/audit", params=query, headers=admin.headers)
        assert refused.status_code == 400, query
    for headers, status in ((desk.staff.headers, 403), (desk.buyer.headers, 403), ({}, 401)):
        assert (await desk.client.get(f"{API}/audit", headers=headers)).status_code == status


async def test_what_is_written_has_its_index(pool: Pool) -> None:
    async with connection(pool) as conn:
        await conn.execute("SET enable_seqscan = off")
        for statement, index in (
            (audit._LIST, "audit_entry_at_idx"),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            (audit._LIST_BY, "audit_entry_actor_idx"),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            (audit._LIST_ABOUT, "audit_entry_subject_idx"),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        ):
            await conn.execute(f"PREPARE read AS {statement}")
            plan = await conn.fetch("EXPLAIN EXECUTE read (now(), 1, now(), now(), NULL, NULL, NULL, 20)")
            assert any(index in line["QUERY PLAN"] for line in plan), plan
            await conn.execute("DEALLOCATE read")
