"""The seat map: what each viewer sees, its version, its tag, its changes as they happen."""

from typing import Any
from uuid import uuid4

import httpx
import make
import pytest

from boxoffice.postgres.pool import Pool
from boxoffice.seating.group_commit import OverloadedError
from boxoffice.seating.holds import tidy_lapsed
from boxoffice.seating.hot_maps import HotMaps
from boxoffice.seating.live import LiveSeats, Quiet, SeatsChanged, StartOver
from boxoffice.seating.refusals import ShowNotFoundError
from boxoffice.web.office import Office


async def read(client: httpx.AsyncClient, show: make.Show, who: make.Buyer | None = None) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/seats/shows/{show.id}", headers=who.headers if who else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_viewer_sees_their_own(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    await make.hold(client, one, show, show.seats[0])
    await make.booking(client, one, show, show.seats[1])
    await make.paid_booking(client, two, show, show.seats[2])
    mine = await read(client, show, one)
    assert [seat["status"] for seat in mine["seats"][:4]] == ["held_by_me", "booked", "booked", "available"]
    assert mine["seats"][0]["holdExpiresAt"].endswith("Z")
    assert mine["summary"] == {"total": 10, "available": 7, "held": 0, "heldByMe": 1, "booked": 2}
    theirs = await read(client, show)
    assert theirs["seats"][0]["status"] == "held"
    assert not any("holdExpiresAt" in seat for seat in theirs["seats"])
    assert theirs["summary"] == {"total": 10, "available": 7, "held": 1, "heldByMe": 0, "booked": 2}


async def test_seats_come_by_row_then_number(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=3, seats_a_row=12)
    seats = (await read(client, show))["seats"]
    assert [(seat["row"], seat["number"]) for seat in seats] == [(row, n) for row in "ABC" for n in range(1, 13)]
    assert set(seats[0]) == {"id", "row", "number", "price", "tier", "kind", "status"}


async def test_the_version_grows_with_every_change_and_with_nothing_else(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    versions = [(await read(client, show))["version"]]

    async def note() -> None:
        versions.append((await read(client, show))["version"])

    await make.hold(client, buyer, show, show.seats[0])
    await note()
    await make.lapse(pool, show)
    office.hot_maps.changed(show.id)  # what others change shows within a second; here: at once
    await note()
    await make.hold(client, buyer, show, show.seats[0])
    await note()
    await client.delete(f"/api/v1/bookings/holds/{buyer.id}", headers=buyer.headers)
    await note()
    booking = await make.paid_booking(client, buyer, show, show.seats[0])
    await note()
    await client.post(f"/api/v1/payments/refund/{booking['id']}", headers=buyer.headers)
    await note()
    assert versions == sorted(set(versions))
    assert (await read(client, show))["version"] == versions[-1]


async def test_a_lapse_alone_and_taking_the_lapsed_seat_both_change_the_version(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)

    async def version() -> int:
        office.hot_maps.changed(show.id)  # what others change shows within a second; here: at once
        return (await read(client, show))["version"]

    await make.hold(client, one, show, show.seats[0])
    held = await version()
    # Only time passes: the row is as it was, but for its end.
    await pool.execute("UPDATE show_seat SET taken_until = now() WHERE holder_id IS NOT NULL")
    lapsed = await version()
    await make.hold(client, two, show, show.seats[0])
    again = await version()
    assert held < lapsed < again
    await make.lapse(pool, show)
    before = await version()
    assert await tidy_lapsed(pool) == 1
    assert await version() > before


async def test_an_unchanged_map_is_304_for_the_same_viewer_only(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    url = f"/api/v1/seats/shows/{show.id}"
    tag = (await client.get(url)).headers["etag"]
    same = await client.get(url, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == tag
    assert (await client.get(url, headers={"If-None-Match": f'"x", {tag}'})).status_code == 304
    assert (await client.get(url, headers={"If-None-Match": tag} | buyer.headers)).status_code == 200
    await make.hold(client, buyer, show, show.seats[0])
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 200


async def test_the_map_is_compressed_for_who_accepts_it(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=10, seats_a_row=20)
    url = f"/api/v1/seats/shows/{show.id}"
    packed = await client.get(url, headers={"Accept-Encoding": "gzip"})
    plain = await client.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


async def test_identity_rules_of_the_map(client: httpx.AsyncClient, pool: Pool) -> None:
    show, one, two = await make.show(pool), await make.guest(client), await make.guest(client)
    staff = await make.member(client, pool, "staff")
    url = f"/api/v1/seats/shows/{show.id}"
    await make.hold(client, one, show, show.seats[0])
    assert (await client.get(url, params={"userId": str(one.id)})).status_code == 401
    assert (await client.get(url, params={"userId": str(one.id)}, headers=two.headers)).status_code == 403
    assert (await client.get(url, params={"userId": "x"}, headers=two.headers)).status_code == 400
    assert (await client.get(url, headers={"Authorization": "Bearer nonsense"})).status_code == 401
    seen = await client.get(url, params={"userId": str(one.id)}, headers=staff.headers)
    assert seen.json()["summary"]["heldByMe"] == 1


async def test_available_seats_and_unknown_shows(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    await make.hold(client, buyer, show, *show.seats[:3])
    answer = await client.get(f"/api/v1/seats/shows/{show.id}/available")
    body = answer.json()
    assert body["availableCount"] == 7 == len(body["seats"])
    assert {seat["status"] for seat in body["seats"]} == {"available"}
    for path in ("", "/available", "/events"):
        unknown = await client.get(f"/api/v1/seats/shows/{buyer.id}{path}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "show_not_found")
        malformed = await client.get(f"/api/v1/seats/shows/nope{path}")
        assert malformed.status_code == 400, malformed.text


async def test_the_layout_of_the_screen(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    body = (await client.get(f"/api/v1/seats/screens/{show.screen_id}")).json()
    assert (body["screenId"], body["totalSeats"]) == (str(show.screen_id), 10)
    assert (await client.get(f"/api/v1/seats/screens/{show.id}")).status_code == 404


async def test_listeners_hear_of_holds_lapses_and_what_they_missed(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    live = LiveSeats(HotMaps(pool, check_every_s=0.02), look_every_s=0.02)
    events = live.listen(show.id, None)
    start = await anext(events)
    assert isinstance(start, StartOver)
    assert start.version == (await read(client, show))["version"]

    await make.hold(client, buyer, show, show.seats[0])
    held = await anext(events)
    assert isinstance(held, SeatsChanged)
    assert [(change.id, change.status) for change in held.changes] == [(show.seats[0], "held")]

    await pool.execute("UPDATE show_seat SET taken_until = now() WHERE holder_id IS NOT NULL")
    lapsed = await anext(events)
    assert isinstance(lapsed, SeatsChanged)
    assert [(change.id, change.status) for change in lapsed.changes] == [(show.seats[0], "available")]
    assert start.version < held.version < lapsed.version

    returning = live.listen(show.id, start.version)
    assert [await anext(returning), await anext(returning)] == [held, lapsed]
    lost = live.listen(show.id, start.version - 1)
    assert await anext(lost) == StartOver(version=lapsed.version)
    for stream in (events, returning, lost):
        await stream.aclose()
    assert live.shows_watched == 0


async def test_the_stream_speaks_server_sent_events(office: Office, client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    assert (await read(client, show))["version"] == 0
    text = StartOver(version=7).wire.decode()
    assert "event: reset" in text
    assert "id: 7" in text
    assert 'data: {"version":7}' in text
    assert Quiet().wire.startswith(b": still here")


async def test_of_listeners_there_are_as_many_as_may_and_one_more_is_told_to_read(
    client: httpx.AsyncClient, office: Office, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await make.show(pool)
    live = LiveSeats(HotMaps(pool), listeners_max=2)
    listening = [live.listen(show.id, None) for _ in range(2)]
    for events in listening:
        await anext(events)
    with pytest.raises(OverloadedError):
        await anext(live.listen(show.id, None))
    # Over HTTP that is a refusal like any other, and the map itself can be read.
    monkeypatch.setattr(office.live_seats, "listen", live.listen)
    refused = await client.get(f"/api/v1/seats/shows/{show.id}/events")
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    assert (await client.get(f"/api/v1/seats/shows/{show.id}")).status_code == 200
    # Who leaves makes room; so does who never came in, as there is no such show.
    await listening.pop().aclose()
    with pytest.raises(ShowNotFoundError):
        await anext(live.listen(uuid4(), None))
    listening.append(live.listen(show.id, None))
    await anext(listening[-1])
    for events in listening:
        await events.aclose()
    assert live.shows_watched == 0
