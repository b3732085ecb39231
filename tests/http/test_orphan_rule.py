"""A pick that leaves a seat alone: warned of, refused or overlooked, as the house sets it."""

from collections.abc import Callable
from typing import Any

import httpx
import make
import msgspec
import pytest

from boxoffice.postgres.pool import Pool
from boxoffice.seating import usher
from boxoffice.settings import OrphanRule, Settings

Rule = Callable[[OrphanRule], None]


@pytest.fixture(params=["warn", "refuse", "off"])
def rule(request: pytest.FixtureRequest) -> OrphanRule:
    return request.param


@pytest.fixture
def settings(settings: Settings, rule: OrphanRule) -> Settings:
    return msgspec.structs.replace(settings, orphan_seats=rule)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason for another answer."""
    monkeypatch.setattr(usher, "WARNING_WAIT_S", 10)


@pytest.fixture
async def show(pool: Pool) -> make.Show:
    """Rows A and B of five."""
    return await make.show(pool)


@pytest.fixture
async def buyer(client: httpx.AsyncClient) -> make.Buyer:
    return await make.guest(client)


def only(*rules: OrphanRule) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rule", rules)


def warning(*seats: Any) -> list[dict[str, Any]]:
    return [{"code": "orphan_seat", "seatIds": [str(seat) for seat in seats]}]


async def version(client: httpx.AsyncClient, show: make.Show) -> int:
    return (await client.get(f"/api/v1/seats/shows/{show.id}")).json()["version"]


@pytest.mark.parametrize("ask", [make.hold, make.book])
async def test_a_pick_that_leaves_a_seat_alone(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer, rule: OrphanRule, ask: Any
) -> None:
    before = await version(client, show)
    answer = await ask(client, buyer, show, show.seats[1])

    if rule == "refuse":
        assert (answer.status_code, answer.json()["code"]) == (409, "orphan_seat")
        assert answer.json()["showSeatIds"] == [str(show.seats[0])]
        assert await version(client, show) == before
        return
    assert answer.status_code == 201
    assert answer.json().get("warnings") == (warning(show.seats[0]) if rule == "warn" else None)
    assert await version(client, show) > before


async def test_a_pick_that_leaves_none_alone_is_answered_as_ever(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer
) -> None:
    held = await make.hold(client, buyer, show, *show.seats[:2])
    booked = await make.book(client, buyer, show, *show.seats[:2])

    assert set(held.json()) == {"success", "holds", "expiresIn"}
    assert booked.status_code == 201
    assert "warnings" not in booked.json()


@only("warn", "refuse")
async def test_it_is_known_without_anybody_having_looked(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer, rule: OrphanRule
) -> None:
    answer = await make.hold(client, buyer, show, show.seats[1])

    assert (answer.status_code == 409) if rule == "refuse" else ("warnings" in answer.json())


@only("refuse")
async def test_seats_held_already_are_booked_whatever_they_leave_alone(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer
) -> None:
    other = await make.guest(client)
    assert (await make.hold(client, buyer, show, *show.seats[:3])).status_code == 201
    assert (await make.hold(client, other, show, *show.seats[3:5])).status_code == 201
    given_back = {"showId": str(show.id), "showSeatIds": str(show.seats[3])}
    await client.delete(f"/api/v1/bookings/holds/{other.id}", params=given_back, headers=other.headers)

    assert (await make.hold(client, buyer, show, *show.seats[:3])).status_code == 201
    assert (await make.book(client, buyer, show, *show.seats[:3])).status_code == 201


@only("refuse")
async def test_a_seat_more_is_judged_beside_what_one_holds(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer
) -> None:
    assert (await make.hold(client, buyer, show, *show.seats[:2])).status_code == 201
    refused = await make.book(client, buyer, show, *show.seats[:2], show.seats[3])
    assert refused.json()["showSeatIds"] == [str(show.seats[2]), str(show.seats[4])]

    assert (await make.book(client, buyer, show, *show.seats[:3])).status_code == 201


@only("refuse")
async def test_a_key_whose_first_answer_is_known_is_answered_again(
    client: httpx.AsyncClient, pool: Pool, show: make.Show, buyer: make.Buyer
) -> None:
    key = {"Idempotency-Key": "mine"}
    first = await make.hold(client, buyer, show, *show.seats[:2], **key)
    await make.lapse(pool, show)
    other = await make.guest(client)
    await make.hold(client, other, show, *show.seats[3:5])
    await version(client, show)

    again = await make.hold(client, buyer, show, *show.seats[:2], **key)

    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
    assert again.json() == first.json()


@only("warn")
async def test_an_answer_told_again_warns_again(client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer) -> None:
    key = {"Idempotency-Key": "mine"}
    first = await make.hold(client, buyer, show, show.seats[1], **key)
    again = await make.hold(client, buyer, show, show.seats[1], **key)
    # Nothing is alone any more; the first answer is told all the same.
    await make.hold(client, await make.guest(client), show, show.seats[0])
    later = await make.hold(client, buyer, show, show.seats[1], **key)

    assert again.headers["idempotent-replayed"] == later.headers["idempotent-replayed"] == "true"
    assert first.json() == again.json() == later.json()
    assert first.json()["warnings"] == warning(show.seats[0])


@only("warn")
async def test_an_answer_without_a_warning_is_told_again_without_one(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer
) -> None:
    key = {"Idempotency-Key": "mine"}
    await make.hold(client, await make.guest(client), show, show.seats[0])
    first = await make.hold(client, buyer, show, show.seats[1], **key)
    await client.delete(f"/api/v1/bookings/holds/{buyer.id}", headers=buyer.headers)
    again = await make.hold(client, buyer, show, show.seats[1], **key)

    assert again.headers["idempotent-replayed"] == "true"
    assert "warnings" not in first.json()
    assert again.json() == first.json()


@only("refuse")
async def test_staff_are_warned_and_not_refused(client: httpx.AsyncClient, pool: Pool, show: make.Show) -> None:
    staff = await make.member(client, pool, "staff")

    answer = await make.hold(client, staff, show, show.seats[1])

    assert (answer.status_code, answer.json()["warnings"]) == (201, warning(show.seats[0]))


@only("refuse")
async def test_a_show_that_is_nearly_full_sells_every_seat(
    client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer
) -> None:
    # Three seats are left, side by side: two cannot sit there without leaving one alone.
    small = await make.show(pool, rows=2, seats_a_row=5)
    other = await make.guest(client)
    assert (await make.book(client, other, small, *small.seats[:2], *small.seats[5:])).status_code == 201

    assert (await make.hold(client, buyer, small, small.seats[2], small.seats[3])).status_code == 201


@only("refuse")
async def test_what_is_wrong_otherwise_is_said_first(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer
) -> None:
    other = await make.guest(client)
    await make.hold(client, other, show, *show.seats[:2])

    taken = await make.hold(client, buyer, show, show.seats[1], show.seats[3])
    twice = await make.hold(client, buyer, show, show.seats[3], show.seats[3])

    assert (taken.status_code, taken.json()["code"]) == (409, "seats_taken")
    assert taken.json()["showSeatIds"] == [str(show.seats[1])]
    assert (twice.status_code, twice.json()["code"]) == (400, "repeated_seats")


@only("warn", "refuse")
async def test_a_stadiums_map_is_read_for_a_refusal_and_not_for_a_warning(
    client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, rule: OrphanRule
) -> None:
    stadium = await make.show(pool, rows=5, seats_a_row=801)

    answer = await make.hold(client, buyer, stadium, stadium.seats[1])
    assert (answer.status_code == 409) if rule == "refuse" else ("warnings" not in answer.json())
