"""Whatever is sent, nobody gets a 5xx: garbage is refused in one shape, and changes nothing."""

import asyncio
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import httpx
import make
import msgspec
import pytest
from documented import Operation, operations, read_document, request_examples
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.postgres.pool import Pool
from boxoffice.web.errors import PROBLEM_TYPE

JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 10_000 + b"]" * 10_000
MAKES_A_GUEST = {"beGuest"}
ENDLESS = {"seatEvents"}
"""Streams that a client of this process would wait for; asked only where they must refuse."""
ENDS_A_SESSION = {"logout"}
TAKES_MORE = {"holdSeats", "book", "initiatePayment", "refundBooking"}
"""Their examples leave out what is optional."""

WHOLE_BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"0",
    b"-1.5e300",
    b"1e400",
    b"NaN",
    b"{",
    b"{}}",
    b"\x00",
    b"\xff\xfe",
    b'{"\xff": 1}',
    DEEP,
    b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"x": "' + b"y" * 70_000 + b'"}',
    b"\xef\xbb\xbf{}",
]
VALUES: list[bytes] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1e400",
    b"1.5",
    b"NaN",
    b'""',
    b'"x"',
    b'"\\u0000"',
    b'"a\\u0000b"',
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"' + b"x" * 6_000 + b'"',
    b"[]",
    b'[null, 1, "x"]',
    b'["\\u0000"]',
    b"{}",
    b'{"\\u0000": "\\u0000"}',
    DEEP,
    b'"9999-12-31T23:59:59Z"',
    b'"0001-01-01T00:00:00+14:00"',
    b'"' + str(uuid4()).encode() + b'"',
]
TEXTS = [
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "..%2f..",
    "x" * 3_000,
    "-1",
    "1e400",
    "9223372036854775808",
    "%F0%9F%8E%9F",
    "null",
]
HEADERS: list[dict[str, str | bytes]] = [
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic x"},
    {"Authorization": b"Bearer \xff\x00"},
    {"Authorization": "Bearer " + "x" * 20_000},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": "x" * 5_000},
    {"Idempotency-Key": b"\xff\xfe"},
    {"Idempotency-Key": b"a\x00b"},
    {"If-None-Match": b'"\xff, W/, "'},
    {"If-None-Match": "," * 5_000},
    {"Last-Event-ID": "9" * 500},
    {"Last-Event-ID": b"\xff"},
    {"Last-Event-ID": "-1"},
    {"Accept-Encoding": b"gzip;q=x, \xff, br;;;"},
    {"Accept": b"\xff/\xff"},
    {"X-Request-Id": b"a\r\nSet-Cookie: x=y"},
    {"X-Request-Id": "x" * 5_000},
    {"X-Payment-Signature": b"t=\xff,v1="},
    {"X-Payment-Signature": "t=999999999999,v1=" + "0" * 64},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json; charset=nonsense"},
    {"Content-Type": b"\xff"},
    {"Content-Type": "application/x-msgpack"},
    {"Content-Length": "-1"},
    {"Content-Length": "x"},
    {"Cookie": b"\xff=\x00; ;;="},
]


class Caller:
    """Sends, and looks at every answer."""

    def __init__(self, client: httpx.AsyncClient, show: make.Show, callers: list[dict[str, str]]) -> None:
        self.client = client
        self._show = show
        self.callers = callers
        self.created: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()

    async def send(self, operation: Operation, path: str | None = None, *, method: str = "", **request: Any) -> None:
        where = self.path(operation) if path is None else path
        asked = (method or operation.method).upper()
        answer = await self.client.request(asked, where, **request)
        self.created[operation.name] += answer.status_code == 201
        self.changed[operation.name] += answer.status_code == 200 and asked == "PATCH"
        told = f"{asked} {where[:200]} {str(request)[:300]} → {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, told
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"]), told
        if asked == "HEAD":
            return
        if answer.status_code < 400:
            assert not answer.content or answer.headers["content-type"] != PROBLEM_TYPE, told
            return
        assert answer.headers["content-type"].startswith(PROBLEM_TYPE), told
        problem = answer.json()
        assert {"type", "title", "status", "detail", "code"} <= set(problem), told
        assert problem["status"] == answer.status_code, told
        assert problem["type"] == f"/api/docs/problems#{problem['code']}", told
        assert problem["title"], told
        assert problem["detail"], told
        if not method and operation.name not in ENDLESS and where.count("%") == 0:
            assert str(answer.status_code) in operation.said["responses"], told

    def path(self, operation: Operation, **given: str) -> str:
        path = operation.path
        for name in operation.parameters("path"):
            real = {"showId": str(self._show.id), "screenId": str(self._show.screen_id), "gateway": "fake"}
            path = path.replace(f"{{{name}}}", given.get(name) or real.get(name) or str(uuid4()))
        return path


@pytest.fixture(scope="module")
def walked() -> list[Operation]:
    return list(operations(read_document()))


@pytest.fixture
async def caller(client: httpx.AsyncClient, pool: Pool) -> Caller:
    show = await make.show(pool)
    guest = await make.guest(client)
    manager = await make.member(client, pool, "manager")
    return Caller(client, show, [{}, guest.headers, manager.headers])


async def counts(pool: Pool) -> dict[str, int]:
    """The rows of every table."""
    tables = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    return {table["name"]: await pool.fetchval(f"SELECT count(*) FROM {table['name']}") for table in tables}


def with_body(walked: list[Operation]) -> Iterator[Operation]:
    return (operation for operation in walked if "requestBody" in operation.said)


async def test_bodies_of_something_else(caller: Caller, walked: list[Operation], pool: Pool) -> None:
    before = await counts(pool)
    for operation in with_body(walked):
        for body, headers in itertools.product(WHOLE_BODIES, caller.callers):
            await caller.send(operation, content=body, headers=JSON | headers)
    assert await counts(pool) == before


def paths_in(value: Any, so_far: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where each member of a body is."""
    if isinstance(value, dict):
        for name, one in cast("dict[str, Any]", value).items():
            yield (*so_far, name)
            yield from paths_in(one, (*so_far, name))
    elif isinstance(value, list):
        for index, one in enumerate(cast("list[Any]", value)[:1]):
            yield (*so_far, index)
            yield from paths_in(one, (*so_far, index))


def put(value: Any, path: tuple[str | int, ...], raw: bytes) -> bytes:
    """The body with these bytes at that place, valid JSON or not."""
    if not path:
        return raw
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return (
            b"{"
            + b",".join(
                msgspec.json.encode(name)
                + b":"
                + (put(one, path[1:], raw) if name == path[0] else msgspec.json.encode(one))
                for name, one in members.items()
            )
            + b"}"
        )
    return (
        b"["
        + b",".join(
            put(one, path[1:], raw) if index == path[0] else msgspec.json.encode(one)
            for index, one in enumerate(cast("list[Any]", value))
        )
        + b"]"
    )


async def test_members_of_something_else(caller: Caller, walked: list[Operation], pool: Pool) -> None:
    # So that nothing the walk sends in here makes an account, and few of them cost a hash.
    (known,) = (request_examples(operation)[0] for operation in walked if operation.name == "register")
    assert (await caller.client.post("/api/v1/auth/register", json=known)).status_code == 201
    before = await counts(pool)
    for operation in with_body(walked):
        (example, *_) = request_examples(operation)
        named = {name: None for name in ("userId", "showSeatIds", "idempotencyKey") if operation.name in TAKES_MORE}
        example = named | example
        callers = caller.callers[:1] if "/auth/" in operation.path else caller.callers[1:]
        for where, value, headers in itertools.product(paths_in(example), VALUES, callers):
            await caller.send(operation, content=put(example, where, value), headers=JSON | headers)
        twice = b"{" + b",".join([msgspec.json.encode(example)[1:-1]] * 2) + b"}"
        await caller.send(operation, content=twice, headers=JSON | callers[0])
    after = await counts(pool)
    made = {
        f"public.{table}": caller.created[name] for name, table in (("addMovie", "movie"), ("addTheatre", "theatre"))
    }
    # What the manager really made or changed is written down.
    made["public.audit_entry"] = made["public.movie"] + made["public.theatre"] + sum(caller.changed.values())
    assert after == {table: count + made.get(table, 0) for table, count in before.items()}


async def test_addresses_of_something_else(caller: Caller, walked: list[Operation], pool: Pool) -> None:
    before = await counts(pool)
    for operation in walked:
        body = {"json": request_examples(operation)[0]} if "requestBody" in operation.said else {}
        for text, headers in itertools.product(TEXTS, caller.callers[1:]):
            for name in operation.parameters("path"):
                await caller.send(operation, caller.path(operation, **{name: text}), headers=headers, **body)
            if operation.name in ENDLESS | MAKES_A_GUEST | ENDS_A_SESSION:
                continue
            for name in {**operation.parameters("query"), "unknown": {}}:
                path = f"{caller.path(operation)}?{name}={text}&{name}={text}&{text}"
                if "requestBody" not in operation.said:
                    await caller.send(operation, path, headers=headers)
    assert await counts(pool) == before


async def test_headers_and_methods_of_something_else(caller: Caller, walked: list[Operation], pool: Pool) -> None:
    before = await counts(pool)
    sound = [operation for operation in walked if operation.name not in ENDLESS | MAKES_A_GUEST | ENDS_A_SESSION]
    for operation in sound:
        for garbage, headers in itertools.product(HEADERS, caller.callers[1:]):
            # Not the examples: with a header that is ignored, some of them would be carried out.
            body: dict[str, Any] = {"content": b'{"x":1}'} if "requestBody" in operation.said else {}
            await caller.send(operation, headers={**headers, **garbage}, **body)
        for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE", "HEAD", "NONSENSE"):
            if method.lower() != operation.method and not (method in {"POST", "PATCH"} and "{" not in operation.path):
                await caller.send(operation, method=method, headers=caller.callers[1])
    assert await counts(pool) == before


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.uuids().map(str),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("showId", "userId", "showSeatIds", "bookingId", "idempotencyKey", "x"), JSON_VALUES),
)


async def test_any_json_at_all(caller: Caller, walked: list[Operation], pool: Pool) -> None:
    before = await counts(pool)
    by_name = {operation.name: operation for operation in walked}
    loop = asyncio.get_running_loop()

    @settings(max_examples=150, database=None)
    @given(name=st.sampled_from(["holdSeats", "book", "initiatePayment", "refundBooking"]), body=BODIES | JSON_VALUES)
    def whatever(name: str, body: Any) -> None:
        raw = json.dumps(body).encode("utf-8", "surrogatepass")
        sending = caller.send(by_name[name], content=raw, headers=JSON | caller.callers[1])
        asyncio.run_coroutine_threadsafe(sending, loop).result()

    await asyncio.to_thread(whatever)
    assert await counts(pool) == before
