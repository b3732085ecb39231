"""What those who run the service rely on: health, metrics, logs, and clean refusals while the database is away."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import make
import pytest
import structlog
from ground import asgi
from prometheus_client.parser import text_string_to_metric_families

import boxoffice
from boxoffice.postgres.pool import Pool
from boxoffice.postgres.schema import newest
from boxoffice.postgres.turns import Turns
from boxoffice.web.observe import ADD_UP_S
from boxoffice.web.office import Office
from boxoffice.web.router import create_web

HEALTH = "/api/v1/health"
PACKAGE = Path(boxoffice.__file__).parent


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1


async def test_it_lives_and_is_ready(client: httpx.AsyncClient) -> None:
    for path, status in ((HEALTH, "ok"), (f"{HEALTH}/ready", "ready")):
        for headers in ({}, {"Authorization": "Bearer of.no.use"}):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"status": status})


async def test_without_its_schema_it_is_not_ready(client: httpx.AsyncClient, pool: Pool) -> None:
    for older in ("0000", f"{int(newest()) - 1:04}", "4f2c"):
        await pool.execute("UPDATE alembic_version SET version_num = $1", older)
        refused(await client.get(f"{HEALTH}/ready"), 503, "not_ready")
    await pool.execute("DROP TABLE alembic_version")
    refused(await client.get(f"{HEALTH}/ready"), 503, "not_ready")


async def test_a_newer_schema_takes_no_machine_out(client: httpx.AsyncClient, pool: Pool) -> None:
    for later in (f"{int(newest()) + 1:04}", "10000"):
        await pool.execute("UPDATE alembic_version SET version_num = $1", later)
        assert (await client.get(f"{HEALTH}/ready")).status_code == 200


async def test_without_its_database_it_lives_and_says_so(client: httpx.AsyncClient, web_pool: Pool) -> None:
    guest = await make.guest(client)
    web_pool.terminate()
    assert (await client.get(HEALTH, headers=guest.headers)).status_code == 200
    assert (await client.get("/metrics")).status_code == 200
    refused(await client.get(f"{HEALTH}/ready", headers=guest.headers), 503, "not_ready")
    refused(await client.get("/api/v1/movies"), 503, "unavailable")
    refused(await client.post("/api/v1/auth/guest"), 503, "unavailable")
    refused(await client.get(f"/api/v1/seats/shows/{uuid4()}/events"), 503, "unavailable")


async def measured(client: httpx.AsyncClient) -> dict[tuple[str, str, str], float]:
    """Requests by method, route and status."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(answer.text)
        if family.name == "boxoffice_requests"
        for sample in family.samples
        if sample.name == "boxoffice_requests_total"
    }


async def test_requests_are_counted_by_route_and_not_by_address(client: httpx.AsyncClient) -> None:
    before = await measured(client)
    unknown = [str(uuid4()) for _ in range(3)]
    for one in unknown:
        await client.get(f"/api/v1/movies/{one}")
        await client.get(f"/nope/{one}")
    await client.request("N0NSENSE-" + unknown[0], HEALTH)
    await client.get(HEALTH)
    after = await measured(client)

    def grown(*labels: str) -> float:
        return after.get((labels[0], labels[1], labels[2]), 0) - before.get((labels[0], labels[1], labels[2]), 0)

    assert grown("GET", "/api/v1/movies/{movie_id}", "404") == 3
    assert grown("GET", HEALTH, "200") == 1
    assert grown("GET", "unknown", "404") == 3
    assert not [labels for labels in after for one in unknown if one in "".join(labels)]
    page = (await client.get("/metrics")).text
    assert 'boxoffice_request_seconds_bucket{le="0.002",method="GET",route="/api/v1/health"}' in page


async def test_maps_that_are_shown_are_counted_though_not_one_by_one(client: httpx.AsyncClient, office: Office) -> None:
    show = await make.show(office.pool)
    address = f"/api/v1/seats/shows/{show.id}"
    before = await measured(client)
    tag = (await client.get(address)).headers["etag"]
    answers = [await client.get(address, headers={"If-None-Match": tag}) for _ in range(5)]
    await asyncio.sleep(2 * ADD_UP_S)
    after = await measured(client)

    route = "/api/v1/seats/shows/{show_id}"
    assert [answer.status_code for answer in answers] == [304] * 5
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5
    assert after[("GET", route, "304")] - before.get(("GET", route, "304"), 0) == 5
    assert after[("GET", route, "200")] - before.get(("GET", route, "200"), 0) == 1


SANE_ID = "proxy-4711.a_b"


@pytest.mark.parametrize("given", [SANE_ID, None, "", "x" * 65, "a b", "a\r\nSet-Cookie: x=y", "é"])
async def test_a_request_has_an_id_in_its_answer_and_in_its_log_line(
    client: httpx.AsyncClient, given: str | None
) -> None:
    headers = [] if given is None else [(b"X-Request-Id", given.encode("latin-1"))]
    for path in ("/api/v1/movies", "/nope"):
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logged:
            answer = await client.get(path, headers=headers)
        request_id = answer.headers["x-request-id"]
        assert request_id == given if given == SANE_ID else re.fullmatch(r"[0-9a-f]{32}", request_id)
        (line,) = [line for line in logged if line["event"] == "request"]
        assert line["request_id"] == request_id
        assert (line["method"], line["path"], line["status"]) == ("GET", path, answer.status_code)
        assert line["milliseconds"] >= 0


UNKNOWN = [
    "/nope",
    "/api/v1/nope",
    "/api/v1",
    "/static",
    "/static/",
    "/static/css",
    "/static/nope.css",
    "/static/../router.py",
    "/static/%2e%2e/router.py",
    "/static/icon.svg/x",
    pytest.param("/static/" + "a" * 300, id="long-name"),
    pytest.param("/static/" + "a/" * 4000, id="long-path"),
    "/static/%00",
    "/static/icon.svg%00.css",
    "/static/%ff",
    "/static/%ed%a0%80",
]


@pytest.mark.parametrize("path", UNKNOWN)
async def test_an_unknown_address_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    refused(answer, 404, "not_found")
    assert str(PACKAGE) not in answer.text, "where we are on this machine is nobody's business"
    assert (await client.head(path)).status_code == 404


async def test_a_method_that_is_not_taken_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.put("/api/v1/movies")
    refused(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(re.split(r",\s*", answer.headers["allow"]))


async def test_large_answers_are_compressed_and_small_ones_are_not(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool, rows=20, seats_a_row=10)
    path = f"/api/v1/seats/shows/{show.id}"
    plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    small = await client.get(HEALTH, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers.get("content-length", 0)) < len(plain.content) / 4


async def test_a_database_session_that_ends_in_mid_flight_is_no_server_error(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    show = await make.show(pool)
    guest = await make.guest(client)
    booking = await make.booking(client, guest, show, show.seats[0])
    cancel = f"/api/v1/bookings/{booking['id']}/cancel"

    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", booking["id"])
        waiting = asyncio.create_task(client.patch(cancel, headers=guest.headers))
        victim = await pid_of_who_waits(pool)
        await pool.fetchval("SELECT pg_terminate_backend($1)", victim)
        refused(await asyncio.wait_for(waiting, 10), 503, "unavailable")

    again = await client.patch(cancel, headers=guest.headers)
    assert (again.status_code, again.json()["status"]) == (200, "CANCELLED")


async def pid_of_who_waits(pool: Pool) -> int:
    for _ in range(200):
        pid = await pool.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if pid is not None:
            return pid
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits")


async def test_a_statement_that_waits_too_long_is_no_server_error(client: httpx.AsyncClient, pool: Pool) -> None:
    show = await make.show(pool)
    guest = await make.guest(client)
    booking = await make.booking(client, guest, show, show.seats[0])
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", booking["id"])
        waiting = asyncio.create_task(client.patch(f"/api/v1/bookings/{booking['id']}/cancel", headers=guest.headers))
        # What PostgreSQL does itself after `STATEMENT_TIMEOUT_S`.
        await pool.fetchval("SELECT pg_cancel_backend($1)", await pid_of_who_waits(pool))
        refused(await asyncio.wait_for(waiting, 10), 503, "unavailable")


FAULTS: list[Exception] = [
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.IdleInTransactionSessionTimeoutError("terminating connection due to idle-in-transaction timeout"),
    asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    asyncpg.InterfaceError("pool is closing"),
    asyncpg.InternalClientError("got result for unknown protocol state 3"),
    TimeoutError(),
    ConnectionResetError("Connection lost"),
]


class BrokenPool:
    """In place of a pool: fails as it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.turns = Turns(1)

    def __getattr__(self, _: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: object, **__: object) -> None:
            raise self.error

        return fail


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
async def test_a_fault_of_the_database_is_told_as_unavailable(office: Office, error: Exception) -> None:
    answer = await failing(office, error)
    refused(answer, 503, "unavailable")


async def failing(office: Office, error: Exception) -> httpx.Response:
    parts: Any = BrokenPool(error)
    there = replace(office, pool=parts)
    made = create_web(lambda: nullcontext(there))
    made.state.office = there
    async with httpx.AsyncClient(transport=asgi(made), base_url="http://box-office.test") as http:
        return await http.get("/api/v1/movies")


@pytest.mark.parametrize("error", [ValueError("x"), asyncpg.UndefinedColumnError("x"), KeyError("x")])
async def test_a_defect_is_logged_with_its_trace_and_told_without_details(office: Office, error: Exception) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await failing(office, error)
    refused(answer, 500, "internal_error")
    assert repr(error) not in answer.text
    (line,) = [line for line in logged if line["event"] == "unexpected error"]
    assert line["exc_info"] is error


async def test_no_secret_is_logged(
    client: httpx.AsyncClient, pool: Pool, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    password = "eleven cups of tea"
    show = await make.show(pool)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logged:
        grant = (
            await client.post(
                "/api/v1/auth/register", json={"email": "asha@example.com", "password": password, "name": "Asha"}
            )
        ).json()
        await client.post("/api/v1/auth/login", json={"email": "asha@example.com", "password": password})
        await client.post("/api/v1/auth/login", json={"email": "asha@example.com", "password": f"not {password}"})
        following = (await client.post("/api/v1/auth/refresh", json={"refreshToken": grant["refreshToken"]})).json()
        me = make.Buyer(grant["userId"], {"Authorization": f"Bearer {following['accessToken']}"})
        booking = await make.paid_booking(client, me, show, show.seats[0])
        await make.deliver(client, make.event(booking["session"], booking["id"]), secret="wrong")
        await client.post(f"/api/v1/payments/refund/{booking['id']}", headers=me.headers)
        await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {grant['accessToken']}x"})
        await client.get("/api/v1/auth/me", headers={"Authorization": "Basic c2VjcmV0LWJhc2lj"})
        await client.post("/api/v1/auth/logout", headers=me.headers)
    told = repr(logged) + caplog.text
    assert "payment event" in told
    secrets = [
        password,
        grant["accessToken"],
        grant["refreshToken"],
        following["accessToken"],
        following["refreshToken"],
        "c2VjcmV0LWJhc2lj",
        make.WEBHOOK_SECRET,
        office.settings.secret_key,
        office.settings.payment_webhook_secret,
        "Bearer ey",
        "v1=",
        "argon2id",
    ]
    for secret in secrets:
        assert secret
        assert secret not in told, secret[:12]
