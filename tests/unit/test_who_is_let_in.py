"""Who is let in when too many come, by a clock of the test's own."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from boxoffice.web.admission import CLAIMS, TELL_EVERY_S, WORK, Admission, kind_of
from boxoffice.web.lanes import Kind, Stay


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def let_in(admission: Admission, kind: Kind, many: int) -> list[Stay]:
    """As many of those who come as are let in."""
    return [stay for stay in (admission.let_in(kind) for _ in range(many)) if stay is not None]


def full(admission: Admission, inside: int) -> None:
    assert len(let_in(admission, Kind.FINISHING, inside)) == inside


def test_those_who_look_are_refused_first_and_those_who_pay_last() -> None:
    admission = Admission(Clock())
    let_in(admission, Kind.LOOKING, 10_000)  # what looking may have beyond its bound is used up
    refused_at: dict[Kind, int] = {}
    for inside in range(2_000):
        for kind in (Kind.LOOKING, Kind.HOLDING, Kind.BOOKING):
            stay = admission.let_in(kind)
            if stay is None:
                refused_at.setdefault(kind, inside)
            else:
                stay.end()
        if admission.let_in(Kind.FINISHING) is None:
            refused_at[Kind.FINISHING] = inside
            break

    order = [Kind.LOOKING, Kind.HOLDING, Kind.BOOKING, Kind.FINISHING]
    assert [refused_at[kind] for kind in order] == sorted(refused_at.values())
    assert refused_at[Kind.FINISHING] > refused_at[Kind.BOOKING]


def test_health_is_never_refused() -> None:
    admission = Admission(Clock())
    let_in(admission, Kind.FINISHING, 10_000)
    let_in(admission, Kind.BOOKING, 10_000)

    assert admission.let_in(Kind.FINISHING) is None
    assert admission.let_in(Kind.NEVER) is not None


@pytest.mark.parametrize("kind", [Kind.HOLDING, Kind.BOOKING])
def test_two_thousand_who_want_seats_at_once_are_let_in_even_by_one_process(kind: Kind) -> None:
    assert len(let_in(Admission(Clock()), kind, 2_000)) == 2_000


def test_five_hundred_buyers_at_once_at_two_processes_are_no_overload() -> None:
    for kind in (Kind.CHOOSING, Kind.HOLDING, Kind.BOOKING, Kind.FINISHING):
        admission = Admission(Clock())
        full(admission, 300)
        assert admission.let_in(kind) is not None


def test_the_quicker_they_are_served_the_more_may_be_inside() -> None:
    clock = Clock()
    admission = Admission(clock)
    full(admission, WORK[Kind.HOLDING].least)
    assert admission.let_in(Kind.HOLDING) is None
    for stay in let_in(admission, Kind.FINISHING, 600):
        stay.end()
    clock.now += 0.5  # 1,200 a second: those inside are served within 0.3 s
    assert admission.let_in(Kind.HOLDING) is not None
    clock.now += 1.0  # and nobody any more
    assert admission.let_in(Kind.HOLDING) is None


def test_what_a_crowd_was_allowed_beyond_its_bound_is_there_again_when_it_is_gone() -> None:
    admission = Admission(Clock())
    bound = CLAIMS[Kind.HOLDING]
    crowd = let_in(admission, Kind.HOLDING, 10_000)
    assert len(crowd) == bound.least + bound.allowance
    crowd.pop().end()
    assert len(let_in(admission, Kind.HOLDING, 10)) == 0
    for stay in crowd:
        stay.end()
    assert len(let_in(admission, Kind.HOLDING, 10_000)) == bound.least + bound.allowance


def test_to_end_twice_is_to_end_once() -> None:
    admission = Admission(Clock())
    bound = WORK[Kind.FINISHING].least
    first, *_ = let_in(admission, Kind.FINISHING, bound)
    assert admission.let_in(Kind.FINISHING) is None
    first.end()
    first.end()
    assert len(let_in(admission, Kind.FINISHING, 10)) == 1


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/", Kind.LOOKING),
        ("GET", "/api/v1/shows", Kind.LOOKING),
        ("POST", "/api/v1/auth/guest", Kind.LOOKING),
        ("GET", "/api/v1/seats/shows/7", Kind.CHOOSING),
        ("GET", "/shows/7", Kind.CHOOSING),
        ("POST", "/api/v1/bookings/hold-seats", Kind.HOLDING),
        ("POST", "/shows/7/hold", Kind.HOLDING),
        ("POST", "/api/v1/bookings", Kind.BOOKING),
        ("POST", "/shows/7/book", Kind.BOOKING),
        ("POST", "/shows/7/release", Kind.FINISHING),
        ("GET", "/api/v1/bookings/7", Kind.FINISHING),
        ("DELETE", "/api/v1/bookings/holds/7", Kind.FINISHING),
        ("POST", "/api/v1/payments/initiate", Kind.FINISHING),
        ("POST", "/api/v1/payments/webhook/stripe", Kind.FINISHING),
        ("POST", "/bookings/7/pay", Kind.FINISHING),
        ("GET", "/bookings", Kind.FINISHING),
        ("GET", "/sign-in", Kind.FINISHING),
        ("POST", "/sign-in", Kind.FINISHING),
        ("POST", "/api/v1/auth/login", Kind.FINISHING),
        ("GET", "/register", Kind.LOOKING),
        ("GET", "/static/css/base.css", Kind.FINISHING),
        ("GET", "/api/v1/health/ready", Kind.NEVER),
        ("GET", "/metrics", Kind.NEVER),
    ],
)
def test_what_a_request_is_after(method: str, path: str, kind: Kind) -> None:
    scope: dict[str, object] = {"type": "http", "method": method, "path": path}
    assert kind_of(scope) is kind  # pyright: ignore[reportArgumentType]  (as much of a scope as is looked at)


async def test_refusals_are_counted_and_told_for_all_together() -> None:
    before = refused_so_far(Kind.HOLDING)
    admission = Admission(Clock())

    async def send(_: object) -> None:
        return

    scope: dict[str, object] = {"type": "http", "method": "POST", "path": "/api/v1/bookings/hold-seats", "headers": []}
    for _ in range(5):
        await admission.refuse(Kind.HOLDING, scope, send)  # pyright: ignore[reportArgumentType]  (the same)
    await asyncio.sleep(TELL_EVERY_S + 0.2)

    assert refused_so_far(Kind.HOLDING) == before + 5


def refused_so_far(kind: Kind) -> float:
    return REGISTRY.get_sample_value("boxoffice_refused_total", {"kind": kind.value}) or 0.0
