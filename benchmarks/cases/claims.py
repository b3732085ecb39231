"""Taking seats: holds and bookings, on few connections and on many, and everybody at one seat."""

from dataclasses import replace
from typing import Final
from uuid import uuid4

import msgspec

from benchmarks.cases.case import PGBENCH, PGBENCH_ONE, Case, Prepared, Target, against_pgbench, expecting, problems
from benchmarks.data import SEATS_OF_A_BUYER
from benchmarks.http1 import encode
from benchmarks.measured import Measured
from benchmarks.pgbench import Statement
from benchmarks.plans import Repeat
from benchmarks.scripts import API
from benchmarks.stage import OwnStage, Stage

CONNECTIONS: Final = 32
RATE_MAX: Final = 8_000
"""Seats are made for so many a second: each is wanted once."""
HOLD: Final = "/bookings/hold-seats"
BOOK: Final = "/bookings"
_CREATED: Final = 201
_CONFLICT: Final = 409


def claim_cases(connections: tuple[int, ...], crowds: tuple[int, ...]) -> list[Case[OwnStage]]:
    """Holds and bookings; ``connections`` and ``crowds`` say how many at once."""
    few = [
        Case[OwnStage](
            name="pgbench-one",
            title=f"PostgreSQL alone: {Statement.ONE_BOOKING}",
            prepare=lambda stage, seconds: Prepared(
                run=lambda: stage.measure_pgbench(Statement.ONE_BOOKING, seconds),
                baseline=against_pgbench(stage, seconds),
                check=lambda measured: problems(measured, {}),
            ),
            baseline=PGBENCH,
            warm=False,
        ),
        _case("hold-1", "hold of 1 seat, 32 connections", HOLD, 1),
        _case("booking-1", "booking of 1 seat, 32 connections", BOOK, 1, target=Target(of="ratio", least=1.0)),
        _case(
            "booking-1-strict",
            "booking of 1 seat, held against a statement that can do no more",
            BOOK,
            1,
            floor=Statement.ONE_BOOKING,
        ),
        _case("booking-1-keyed", "booking of 1 seat, with an Idempotency-Key each", BOOK, 1, keyed=True),
        _case("booking-4", "booking of 4 seats, 32 connections", BOOK, 4),
    ]
    many = [
        _case(
            f"connections-{at_once}",
            f"booking of 1 seat, {at_once:,} connections, distinct seats",
            BOOK,
            1,
            connections=at_once,
            target=Target(of="p99_ms", most=1_000) if at_once >= 1_000 else None,  # noqa: PLR2004  (the issue's case)
        )
        for at_once in connections
    ]
    crowd = [
        Case[OwnStage](
            name=f"contention-{buyers}",
            title=f"{buyers:,} buyers at once for one seat",
            prepare=lambda stage, _, buyers=buyers: _everybody(stage, buyers),
            warm=False,
            target=Target(of="wall_s", most=1.5) if buyers >= 2_000 else None,  # noqa: PLR2004  (the issue's case)
        )
        for buyers in crowds
    ]
    return [*few, *many, *crowd]


def _case(
    name: str,
    title: str,
    path: str,
    seats: int,
    *,
    connections: int = CONNECTIONS,
    keyed: bool = False,
    floor: Statement = Statement.PRODUCT,
    target: Target | None = None,
) -> Case[OwnStage]:
    return Case[OwnStage](
        name=name,
        title=title,
        prepare=lambda stage, seconds: replace(
            _distinct(stage, seconds, path, seats, connections, keyed=keyed),
            baseline=against_pgbench(stage, seconds, floor),
        ),
        baseline=PGBENCH if floor is Statement.PRODUCT else PGBENCH_ONE,
        target=target,
    )


def claim(stage: Stage, path: str, show_id: str, seat_ids: list[str], token: str, *, keyed: bool = False) -> bytes:
    """A request for seats."""
    body = msgspec.json.encode({"showId": show_id, "showSeatIds": seat_ids})
    more = {"Idempotency-Key": uuid4().hex} if keyed else {}
    return encode("POST", API + path, host=f"{stage.host}:{stage.port}", token=token, body=body, headers=more)


def _distinct(stage: OwnStage, seconds: float, path: str, seats: int, connections: int, *, keyed: bool) -> Prepared:
    """Every request wants seats that no other wants; a buyer asks as often as one may, on one connection."""
    each = max(2, round(RATE_MAX * seconds / seats / connections))
    show = stage.data.show(connections * each * seats)
    times = SEATS_OF_A_BUYER // seats
    buyers_each = -(-each // times)
    stage.data.buyers(connections * buyers_each)
    lanes = [
        [
            claim(
                stage,
                path,
                show.id,
                [show.seat((lane * each + n) * seats + seat) for seat in range(1, seats + 1)],
                stage.data.token(lane * buyers_each + n // times),
                keyed=keyed,
            )
            for n in range(each)
        ]
        for lane in range(connections)
    ]
    plan = Repeat(
        host=stage.host, port=stage.port, connections=connections, seconds=seconds, operation="claim", lanes=lanes
    )

    def check(measured: Measured) -> list[str]:
        found = problems(measured, {"claim": {_CREATED}})
        booked = stage.data.sale(show).bookings
        if path == BOOK and booked != measured.statuses.get(_CREATED, 0):
            found.append(f"{measured.statuses} answered, {booked} bookings in the database")
        return found

    return Prepared(run=lambda: stage.measure(plan, "claim"), check=check)


def _everybody(stage: OwnStage, buyers: int) -> Prepared:
    """Everybody asks at the same moment, each for the first time: the server knows none of them yet."""
    show = stage.data.show(1)
    stage.data.buyers(buyers)
    lanes = [[claim(stage, BOOK, show.id, [show.seat(1)], stage.data.token(n))] for n in range(buyers)]
    plan = Repeat(host=stage.host, port=stage.port, connections=buyers, seconds=None, operation="claim", lanes=lanes)

    def check(measured: Measured) -> list[str]:
        found = expecting("claim", _CREATED, _CONFLICT)(measured)
        if measured.statuses != {_CREATED: 1, _CONFLICT: buyers - 1}:
            found.append(f"not one sale and {buyers - 1} refusals: {measured.statuses}")
        return found

    return Prepared(run=lambda: stage.measure(plan, "claim"), check=check)
