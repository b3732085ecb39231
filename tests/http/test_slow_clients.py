"""Who is slow keeps nothing occupied for long: real sockets, against the real server with a short patience."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import make
import psutil
import pytest
from running import Running, started

from boxoffice.postgres.embedded import server as shared_server
from boxoffice.postgres.pool import Pool, connect_pool
from boxoffice.web.router import BODY_BYTES_MAX

PATIENCE_S = 1.0
GONE_WITHIN_S = 6.0
"""On a busy machine: the patience, and what the system needs to notice."""
EARLY_S = 0.7 * PATIENCE_S
SMALL_BUFFER = 4096
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def house() -> Generator[Running]:
    with (
        TemporaryDirectory(prefix="boxoffice-test-", ignore_cleanup_errors=True) as folder,
        started(Path(folder) / "data", "serve", SLOW_CLIENT_S=str(PATIENCE_S)) as running,
    ):
        yield running


@pytest.fixture
async def books(house: Running) -> AsyncIterator[Pool]:
    with shared_server(house.data_dir) as running:
        pool = await connect_pool(running.get_uri("boxoffice"), size=2)
        try:
            yield pool
        finally:
            await pool.close()


@pytest.fixture
async def client(house: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as made:
        yield made


async def line_to(house: Running, first: bytes = b"") -> Line:
    parts = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(first)
    return reader, writer


class End(NamedTuple):
    """How long a connection lived, and what was said on it."""

    seconds: float
    said: bytes


async def end_of(line: Line, meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None) -> End:
    """Read until the other side closes; ``meanwhile`` goes on for as long."""
    reader, writer = line
    since = time.monotonic()
    task = asyncio.create_task(meanwhile()) if meanwhile else None
    said = b""
    try:
        async with asyncio.timeout(GONE_WITHIN_S + PATIENCE_S):
            while chunk := await reader.read(65_536):
                said += chunk
    except ConnectionError:
        # As good an end as any.
        said += b""
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        writer.close()
    return End(time.monotonic() - since, said)


def dripping(line: Line, what: bytes, times: int = 1_000) -> Callable[[], Coroutine[Any, Any, None]]:
    async def drip() -> None:
        for _ in range(times):
            line[1].write(what)
            await asyncio.sleep(0.1)

    return drip


HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: box-office.test\r\n"


@pytest.mark.parametrize(
    ("sent", "dripped"),
    [
        (b"", b""),
        (b"G", b""),
        (HEAD, b""),
        (HEAD, b"X-More: of the same\r\n"),
        (b"", b"P"),
        (b"PRI * HTTP/2.0\r\n\r\n", b""),
    ],
    ids=["nothing", "a-byte", "half-a-head", "endless-headers", "endless-method", "half-of-http2"],
)
async def test_who_does_not_come_to_the_point_is_dropped(house: Running, sent: bytes, dripped: bytes) -> None:
    line = await line_to(house, sent)
    end = await end_of(line, dripping(line, dripped) if dripped else None)

    assert end.seconds < GONE_WITHIN_S
    assert not end.said.startswith(b"HTTP/1.1 2")


async def test_a_connection_on_which_nothing_more_is_asked_is_closed(house: Running) -> None:
    reader, writer = await line_to(house, HEAD + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    end = await end_of((reader, writer))

    assert end.said == b'{"status":"ok"}'
    assert EARLY_S < end.seconds < GONE_WITHIN_S


BODIES = ["/api/v1/bookings", "/api/v1/auth/login", "/api/v1/payments/webhook", "/api/v1/payments/webhook/fake"]


def post(path: str, token: str, *more: str, kind: str = "application/json") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: box-office.test",
        f"Authorization: Bearer {token}",
        f"Content-Type: {kind}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def problem_of(said: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    head, _, body = said.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize("path", [*BODIES, "/sign-in"])
@pytest.mark.parametrize("framing", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("dripped", [b"", b"1\r\nx\r\n"], ids=["no-byte", "byte-by-byte"])
async def test_a_body_that_does_not_arrive_in_time_is_not_waited_for(
    house: Running, client: httpx.AsyncClient, path: str, framing: str, dripped: bytes
) -> None:
    guest = await make.guest(client)
    kind = "application/x-www-form-urlencoded" if path == "/sign-in" else "application/json"
    line = await line_to(house, post(path, guest.headers["Authorization"].split()[1], framing, kind=kind))
    end = await end_of(line, dripping(line, dripped) if dripped else None)

    status, headers, problem = problem_of(end.said)
    assert (status, problem["code"]) == (408, "too_slow")
    assert headers["connection"] == "close"
    assert EARLY_S < end.seconds < GONE_WITHIN_S


async def test_a_body_in_pieces_that_is_there_in_time_is_taken(house: Running, client: httpx.AsyncClient) -> None:
    guest = await make.guest(client)
    token = guest.headers["Authorization"].split()[1]
    line = await line_to(house, post("/api/v1/bookings", token, "Transfer-Encoding: chunked", "Connection: close"))
    for piece in b"{}":
        line[1].write(b"1\r\n" + bytes([piece]) + b"\r\n")
        await asyncio.sleep(0.2 * PATIENCE_S)
    line[1].write(b"0\r\n\r\n")

    status, _, problem = problem_of((await end_of(line)).said)
    assert (status, problem["code"]) == (400, "malformed")


@pytest.mark.parametrize("path", [*BODIES, "/sign-in"])
async def test_a_body_that_is_too_large_is_not_read_to_its_end_also_without_a_length(
    house: Running, client: httpx.AsyncClient, path: str
) -> None:
    guest = await make.guest(client)
    kind = "application/x-www-form-urlencoded" if path == "/sign-in" else "application/json"
    token = guest.headers["Authorization"].split()[1]
    line = await line_to(house, post(path, token, "Transfer-Encoding: chunked", kind=kind))
    # One byte more than is taken, and no end: whoever waited for that would answer 408.
    for size in (BODY_BYTES_MAX, 1):
        line[1].write(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")

    status, _, problem = problem_of((await end_of(line)).said)
    assert (status, problem["code"]) == (413, "too_large")


async def test_half_a_request_of_many_keeps_nobody_else_from_being_served(
    house: Running, client: httpx.AsyncClient
) -> None:
    lines = [await line_to(house, HEAD) for _ in range(200)]
    since = time.monotonic()
    assert (await client.get("/api/v1/health")).status_code == 200
    assert time.monotonic() - since < PATIENCE_S
    ends = await asyncio.gather(*(end_of(line) for line in lines))
    assert all(end.seconds < GONE_WITHIN_S for end in ends)


def deaf_line(house: Running, asked: bytes) -> socket.socket:
    """A connection on which something was asked, and nothing is ever read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    line.connect(("127.0.0.1", urlsplit(house.url).port))
    line.sendall(asked)
    return line


def is_kept(house: Running, line: socket.socket) -> bool:
    """Whether the server has the other end of a connection still open."""
    return any(
        connection.raddr and connection.raddr.port == line.getsockname()[1]
        for process in psutil.Process(house.process.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
    )


async def gone(house: Running, line: socket.socket) -> None:
    async with asyncio.timeout(GONE_WITHIN_S):
        while is_kept(house, line):  # noqa: ASYNC110  (another process's state)
            await asyncio.sleep(0.1)


async def touch_all(books: Pool, show: make.Show, taken: bool) -> None:  # noqa: FBT001  (what is alternated)
    await books.execute(
        """UPDATE show_seat SET taken_until = CASE WHEN $2 THEN now() + interval '1 hour' ELSE now() END,
                  holder_id = (SELECT id FROM account LIMIT 1), revision = revision + 1
            WHERE show_id = $1""",
        show.id,
        taken,
    )


async def test_a_listener_who_does_not_read_is_let_go_and_takes_no_memory_along(
    house: Running, books: Pool, client: httpx.AsyncClient
) -> None:
    await make.guest(client)
    show = await make.show(books, rows=26, seats_a_row=400)
    ask = f"GET /api/v1/seats/shows/{show.id}/events HTTP/1.1\r\nHost: box-office.test\r\n\r\n".encode()
    deaf = deaf_line(house, ask)
    hears = await line_to(house, ask)
    heard = bytearray()

    async def listen() -> None:
        while True:
            heard.extend(await hears[0].read(1 << 20))

    listening = asyncio.create_task(listen())
    before = resident_mb(house)
    try:
        async with asyncio.timeout(60):
            n = 0
            while not n or is_kept(house, deaf):
                n += 1
                await touch_all(books, show, n % 2 == 1)
                await asyncio.sleep(0.3)
        # What the other one hears is what was not sent to the deaf one.
        told = len(heard)
        async with asyncio.timeout(10):
            while len(heard) == told:
                n += 1
                await touch_all(books, show, n % 2 == 1)
                await asyncio.sleep(0.3)
    finally:
        listening.cancel()
        hears[1].close()
        deaf.close()
    assert re.search(rb"event: seats", heard)
    assert resident_mb(house) - before < 60


def resident_mb(house: Running) -> float:
    family = psutil.Process(house.process.pid).children(recursive=True)
    return sum(process.memory_info().rss for process in family) / 1e6


async def test_who_asks_for_much_and_reads_nothing_is_dropped(
    house: Running, books: Pool, client: httpx.AsyncClient
) -> None:
    show = await make.show(books, rows=26, seats_a_row=400)
    path = f"/api/v1/seats/shows/{show.id}"
    assert len((await client.get(path)).content) > 1_000_000
    deaf = deaf_line(house, f"GET {path} HTTP/1.1\r\nHost: box-office.test\r\n\r\n".encode() * 20)
    await gone(house, deaf)
    deaf.close()
