"""The benchmarks measure what they say: answers are read right, percentiles are right, the report shows it all."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
import psycopg
import pytest
from benchmarks.cases import all_cases
from benchmarks.cases.case import Case, Target, problems
from benchmarks.data import Data, Show, identifier
from benchmarks.http1 import Answer, AnswerReader, ProtocolError, encode
from benchmarks.listening import seats_held
from benchmarks.load import carry_out
from benchmarks.measured import Measured, of_load
from benchmarks.pgbench import CLIENTS, PgbenchError, Statement, booking_statement, parse, seats_for
from benchmarks.plans import AnyPlan, Journeys, LoadReport, Purchase, Repeat
from benchmarks.report import COLUMNS, Report, Round, case_report, cells, markdown
from benchmarks.scripts import Got, buy, sign
from benchmarks.stage import OwnStage
from benchmarks.tally import Tally, percentile

SIZED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id":"a1"}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n7;name=value\r\n, world\r\n0\r\n\r\n"
UNCHANGED = b'HTTP/1.1 304 Not Modified\r\netag: W/"1"\r\ncontent-length: 99\r\n\r\n'


def read(*pieces: bytes) -> tuple[list[Answer], bytes]:
    reader, body = AnswerReader(), list[bytes]()
    reader.on_body = body.append
    return [answer for piece in pieces if (answer := reader.feed(piece)) is not None], b"".join(body)


@pytest.mark.parametrize(
    ("wire", "answer", "body"),
    [
        (SIZED, Answer(201, 11), b'{"id":"a1"}'),
        (CHUNKED, Answer(200, 12), b"hello, world"),
        (UNCHANGED, Answer(304, 0), b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, 0), b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, Answer(201, 11), b'{"id":"a1"}'),
    ],
)
def test_an_answer_is_read_however_it_is_cut(wire: bytes, answer: Answer, body: bytes) -> None:
    assert read(wire) == ([answer], body)
    assert read(*(wire[n : n + 1] for n in range(len(wire)))) == ([answer], body)
    for cut in range(1, len(wire)):
        assert read(wire[:cut], wire[cut:]) == ([answer], body)


def test_one_connection_carries_many_answers() -> None:
    answers, body = read(SIZED, CHUNKED, UNCHANGED, SIZED)

    assert [answer.status for answer in answers] == [201, 200, 304, 201]
    assert body == b'{"id":"a1"}hello, world{"id":"a1"}'


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_answer_is_not_counted_as_one(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        AnswerReader().feed(wire)


def test_a_request_says_all_that_a_server_needs() -> None:
    request = encode("POST", "/a", host="h:1", token="t", body=b"{}", headers={"If-None-Match": "x"})

    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /a HTTP/1.1",
        b"Host: h:1",
        b"Authorization: Bearer t",
        b"Content-Type: application/json",
        b"Content-Length: 2",
        b"If-None-Match: x",
    ]
    assert body == b"{}"


def test_percentiles_are_nearest_rank() -> None:
    hundred = [float(n) for n in range(1, 101)]

    assert percentile(hundred, 50) == 50
    assert percentile(hundred, 99) == 99
    assert percentile(hundred, 100) == 100
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_tally_counts_by_operation_and_status() -> None:
    tally = Tally()
    for n in range(100):
        tally.add("book", 201 if n < 99 else 409, (n + 1) / 1000)

    booked = tally.operations()["book"]
    assert (booked.count, booked.statuses) == (100, {201: 99, 409: 1})
    assert [booked.p50_ms, booked.p99_ms, booked.max_ms] == pytest.approx([50.0, 99.0, 100.0])


async def serve(
    answers: Callable[[bytes], bytes], measure: Callable[[int], Awaitable[LoadReport]]
) -> tuple[LoadReport, list[bytes]]:
    """A server that answers each request as told; what the client reported, and what it asked."""
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answers(asked[-1]))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        report = await measure(server.sockets[0].getsockname()[1])
    return report, asked


def lanes(port: int, *, connections: int, asks: int) -> AnyPlan:
    return Repeat(
        host="127.0.0.1",
        port=port,
        connections=connections,
        seconds=None,
        limit_s=10,
        operation="look",
        lanes=[[encode("GET", f"/{lane}/{n}", host="h") for n in range(asks)] for lane in range(connections)],
    )


async def test_the_client_asks_each_question_once_and_counts_every_answer() -> None:
    report, asked = await serve(
        lambda request: UNCHANGED if b"/0/" in request else SIZED,
        lambda port: carry_out(lanes(port, connections=4, asks=5), lambda: None),
    )

    assert report.operations["look"].statuses == {201: 15, 304: 5}
    assert report.failures == {}
    assert len({request.split(b" ")[1] for request in asked}) == len(asked) == 20
    assert report.cpu_s >= 0


async def test_a_connection_that_breaks_is_a_failure_and_not_an_answer() -> None:
    report, _asked = await serve(
        lambda _: b"nonsense without an end of its own\r\n\r\n",
        lambda port: carry_out(lanes(port, connections=2, asks=5), lambda: None),
    )

    assert report.operations == {}
    assert sum(report.failures.values()) == 2


def journey(answers: dict[str, Got]) -> tuple[Tally, list[str]]:
    plan = Journeys(
        host="h", port=1, connections=1, seconds=None, purchases=[], webhook_secret="secret", compressed=True
    )
    tally, steps = Tally(), list[str]()
    script = buy(plan, iter([Purchase(show_id="s", seat_ids=["a", "b"], token="t")]), tally)
    ask = next(script)
    while True:
        steps.append(ask.operation)
        try:
            ask = script.send(answers[ask.operation])
        except StopIteration:
            return tally, steps


WELL = {
    "map": Got(200, b""),
    "hold": Got(201, b""),
    "book": Got(201, b'{"id":"b1"}'),
    "initiate": Got(201, b'{"sessionId":"sess_1","amount":2,"currency":"INR"}'),
    "pay": Got(200, b""),
    "read": Got(200, b'{"status":"CONFIRMED"}'),
}


def test_a_journey_ends_well_only_with_a_ticket() -> None:
    tally, steps = journey(WELL)

    assert steps == ["map", "hold", "book", "initiate", "pay", "read"]
    assert tally.operations()["journey"].count == 1
    for step, got in (("hold", Got(409, b"")), ("pay", Got(401, b"")), ("read", Got(200, b'{"status":"PENDING"}'))):
        tally, steps = journey(WELL | {step: got})
        assert steps[-1] == step
        assert tally.operations() == {}
        assert tally.failures == {f"journey broken at {step}": 1}


def test_the_clients_signature_is_the_gateways() -> None:
    digest = hmac.new(b"secret", b"12.body", hashlib.sha256).hexdigest()

    assert sign("secret", b"body", 12) == f"t=12,v1={digest}"


def test_an_event_names_the_seats_that_are_held_now() -> None:
    event = (
        b'id: 9\nevent: seats\ndata: {"version":9,"changes":[{"id":"a","status":"held"},{"id":"b","status":"booked"}]}'
    )

    assert seats_held(event) == ("a",)
    assert seats_held(b'event: reset\ndata: {"version":7}') == ()
    assert seats_held(b": still here") == ()


def measured(rate: float, **changes: object) -> Measured:
    tally = Tally()
    for n in range(10):
        tally.add("look", 200, (n + 1) / 1000)
    report = LoadReport(wall_s=10 / rate, cpu_s=1.0, peak_mb=30.0, operations=tally.operations(), failures={})
    found = of_load("look", report, {"web": 2.0, "beside": 0.5, "postgres": 0.5}, {"web": 111.0})
    return msgspec.structs.replace(found, **changes)


def case(target: Target | None) -> Case[OwnStage]:
    def never(_stage: OwnStage, _seconds: float) -> None:
        raise AssertionError

    return Case(name="look", title="a look", prepare=never, baseline="bare", target=target)  # pyright: ignore[reportArgumentType]  (never set up here)


def rounds(*pairs: tuple[float, float]) -> list[Round]:
    return [Round(case=measured(rate), baseline=measured(base), problems=[]) for rate, base in pairs]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    report = case_report(case(Target(of="ratio", least=0.6)), rounds((100, 200), (300, 400), (90, 100)), judged=True)

    assert report.ratio == pytest.approx(0.75)
    assert report.rate == pytest.approx(100)
    assert report.baseline_rate == pytest.approx(200)
    assert report.reached is True
    assert case_report(case(Target(of="ratio", least=0.8)), report.rounds, judged=True).reached is False
    assert case_report(case(Target(of="ratio", least=0.8)), report.rounds, judged=False).reached is None


def test_a_case_that_went_wrong_reaches_nothing() -> None:
    wrong = [msgspec.structs.replace(one, problems=["look: 1 times 500"]) for one in rounds((300, 100))]

    assert case_report(case(Target(of="ratio", least=0.6)), wrong, judged=True).reached is False


def test_the_report_renders_every_column() -> None:
    report = Report(
        machine={"Date": "2026-01-31 01:00 UTC"},
        options={"Rounds": "3"},
        cases=[case_report(case(Target(of="p99_ms", most=20)), rounds((100, 200), (150, 200)), judged=True)],
    )

    text = markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in lines[:2]}) == 1
    assert lines[0].count("|") == len(COLUMNS) + 1
    assert "| a look | 125 | 5.00 | 10.0 | 10.0 |" in text
    assert "**0.62** (0.50 0.75)" in text
    assert "at most 20 ms p99, reached" in text
    assert "25%" in text
    assert len(cells(report.cases[0])) == len(COLUMNS)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_other_answers_than_expected_are_problems() -> None:
    assert problems(measured(100), {"look": {200}}) == []
    assert problems(measured(100), {"look": {304}}) == ["look: 10 times 200"]
    assert problems(measured(100, failures={"connection lost": 2}), {}) == ["2 times connection lost"]


def test_cases_have_names_of_their_own() -> None:
    for short in (True, False):
        names = [one.name for one in all_cases(short=short)]
        assert len(set(names)) == len(names)


def test_pgbenchs_figures_are_those_after_the_warm_up() -> None:
    said = "number of transactions actually processed: 700\ntps = 99.0 (without initial connection time)\n"
    progress = "".join(
        f"progress: {at}.0 s, {rate}.0 tps, lat {lat} ms stddev 1.0, 0 failed\n"
        for at, rate, lat in ((1, 10, 90.0), (2, 90, 30.0), (3, 200, 10.0), (4, 400, 7.0))
    )

    report = parse(said, progress, 2.0, 1.5)
    assert (report.transactions, report.rate, report.latency_ms) == (700, 300.0, pytest.approx(8.0))
    with pytest.raises(PgbenchError):
        parse(said, "", 2.0, 1.5)


def test_ids_can_be_worked_out() -> None:
    assert identifier("show 7 seat 12") == str(UUID(hashlib.md5(b"show 7 seat 12").hexdigest()))  # noqa: S324


@pytest.mark.parametrize("statement", list(Statement))
def test_pgbench_books_by_the_products_own_statement(dsn: str, statement: Statement) -> None:
    """The script, with its variables filled in as pgbench would, makes the booking that it says."""
    data = Data(dsn, "a secret key of these tests")
    show = data.show(seats_for(0.2))
    share = show.seats // CLIENTS
    lines = booking_statement(statement, show).splitlines()
    assert f"\\set seat :client_id * {share} + :i" in lines
    script = "\n".join(line for line in lines if not line.startswith("\\"))
    for name, value in {"seat": "3", "buyer": "0"}.items():
        script = re.sub(rf"(?<!:):{name}\b", value, script)
    # Whatever looks like a variable still would be taken for one.
    assert not re.search(r"(?<!:):[A-Za-z_]", script)

    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(script.encode())
        booked = conn.execute("SELECT seat_id, user_id FROM booking_seat JOIN booking ON id = booking_id").fetchall()

    assert booked == [(UUID(show.seat(3)), UUID(identifier("buyer 0")))]
    assert data.sale(show).bookings == 1
    data.close()


def test_the_data_is_a_show_that_sells(dsn: str) -> None:
    data = Data(dsn, "a secret key of these tests")
    first, second = data.shows(2, 120)
    data.buyers(3)
    data.buyers(2)
    data.buyers(5)

    with psycopg.connect(dsn, autocommit=True) as conn:
        seats = conn.execute("SELECT count(*) FROM show_seat WHERE show_id = %s::uuid", [second.id]).fetchone()
        people = conn.execute("SELECT count(*) FROM account_session JOIN account a ON a.id = account_id").fetchone()
    assert (seats, people) == ((120,), (5,))
    assert first != Show(number=first.number, seats=1)
    assert data.token(4) == data.token(4) != data.token(3)
    assert data.sale(first).sold_seats == 0
    data.close()
