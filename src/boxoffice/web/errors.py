"""Every error as RFC 9457 problem details; the one place where errors get their HTTP status."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from boxoffice.errors import (
    BoxOfficeError,
    ConflictError,
    ForbiddenError,
    KeyReusedError,
    MalformedError,
    ThrottledError,
    TooLargeError,
    TooSlowError,
    UnavailableError,
    UnidentifiedError,
    UnknownError,
)

PROBLEM_TYPE: Final = "application/problem+json"

STATUSES: Final[Mapping[type[BoxOfficeError], int]] = {
    MalformedError: 400,
    UnidentifiedError: 401,
    ForbiddenError: 403,
    UnknownError: 404,
    TooSlowError: 408,
    ConflictError: 409,
    TooLargeError: 413,
    KeyReusedError: 422,
    ThrottledError: 429,
    UnavailableError: 503,
}

log = structlog.get_logger(__name__)
AnyRequest = Request[Any, Any, State]


class Problem(msgspec.Struct, kw_only=True, rename="camel"):
    """Problem details (RFC 9457): `code` is stable, `detail` is for people. Some problems have further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """What is wrong, by field."""
    show_seat_ids: list[UUID] | msgspec.UnsetType = msgspec.UNSET
    """The seats in the way, or those that make no sense here."""


EXAMPLE_MEMBERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "malformed": {"errors": {"limit": "Expected `int` <= 100"}},
    "seats_taken": {"showSeatIds": ["6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001"]},
    "unknown_seats": {"showSeatIds": ["6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5009"]},
    "repeated_seats": {"showSeatIds": ["6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001"]},
    "seat_limit_reached": {"limit": 10},
    "not_enough_seats": {"available": 1},
    "orphan_seat": {"showSeatIds": ["6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5003"]},
    "booking_not_cancellable": {"bookingStatus": "CONFIRMED"},
    "booking_not_refundable": {"bookingStatus": "PENDING"},
    "refund_window_closed": {"refundPercentage": 0},
    "contact_addresses_used_up": {"limit": 5},
    "booking_without_tickets": {"bookingStatus": "PENDING"},
    "seats_admitted": {"showSeatIds": ["6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001"]},
    "ticket_refunded": {"bookingStatus": "REFUNDED"},
    "session_decided": {"sessionStatus": "paid"},
    "show_overlaps": {"showId": "9a6e1d7c-2b54-4e0f-8d3b-1c7e5f2a4002"},
    "show_in_past": {"errors": {"startTime": "must be in the future"}},
    "unknown_timezone": {"errors": {"timezone": "is none that we know"}},
}
"""By code: the further members that such a problem has, for the documentation."""

METHOD_NOT_ALLOWED: Final = ("This address does not take that method", "method_not_allowed")
_ONLY_READ: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_ANSWER: Final = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a request may have been done in spite of."""
UNSUPPORTED_MEDIA_TYPE: Final = ("This media type is not taken here", "unsupported_media_type")
INTERNAL_ERROR: Final = ("Something went wrong here", "internal_error")


def status_of(error: type[BoxOfficeError]) -> int:
    """The HTTP status of an error's kind."""
    for kind in error.__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return 500


def problems(*errors: type[BoxOfficeError]) -> dict[int, ResponseSpec]:
    """The documentation of the errors that an operation may answer with, grouped by status."""
    by_status: dict[int, list[type[BoxOfficeError]]] = {}
    for error in errors:
        by_status.setdefault(status_of(error), []).append(error)
    return {
        status: ResponseSpec(
            data_container=Problem,
            media_type=PROBLEM_TYPE,
            generate_examples=False,
            description="; ".join(f"`{error.code}`: {error.title()}" for error in found),
            examples=[
                Example(
                    id=error.code,
                    summary=error.title(),
                    value=members(status, error.code, error.title(), error.title())
                    | dict(EXAMPLE_MEMBERS.get(error.code, {})),
                )
                for error in found
            ],
        )
        for status, found in sorted(by_status.items())
    }


class ProblemKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of problem, as its page tells it."""

    code: str
    title: str
    status: int
    members: list[str]
    """Further members of such a problem."""


def every_problem() -> list[ProblemKind]:
    """All that the service may answer, by status and code."""
    kinds = {
        error.code: ProblemKind(
            code=error.code,
            title=error.title(),
            status=status_of(error),
            members=list(EXAMPLE_MEMBERS.get(error.code, {})),
        )
        for error in reversed(list(_descendants(BoxOfficeError)))
    }
    for status, (title, code) in {
        405: METHOD_NOT_ALLOWED,
        415: UNSUPPORTED_MEDIA_TYPE,
        500: INTERNAL_ERROR,
    }.items():
        kinds[code] = ProblemKind(code=code, title=title, status=status, members=[])
    return sorted(kinds.values(), key=lambda kind: (kind.status, kind.code))


def _descendants(error: type[BoxOfficeError]) -> Iterator[type[BoxOfficeError]]:
    for child in error.__subclasses__():
        yield child
        yield from _descendants(child)


def on_box_office_error(_: AnyRequest, error: BoxOfficeError) -> Response[dict[str, Any]]:
    """An error that we raised on purpose."""
    headers: dict[str, str] = {}
    if isinstance(error, ThrottledError | UnavailableError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnidentifiedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooSlowError):
        # The rest of the request may still be on its way, and is nobody's next one.
        headers["Connection"] = "close"
    return _answer(status_of(type(error)), error.code, error.title(), error.detail, error.extra, headers)


def on_validation_error(_: AnyRequest, error: ValidationException) -> Response[dict[str, Any]]:
    """A parameter or body that does not fit its schema; ``errors`` tells which field and why."""
    found: dict[str, str] = {}
    for item in cast("list[dict[str, str]]", error.extra or []):
        found[item.get("key") or item.get("source") or "body"] = item.get("message", "")
    detail = "; ".join(f"{key}: {message}" for key, message in found.items()) or str(error.detail)
    return _answer(400, MalformedError.code, MalformedError.title(), detail, {"errors": found}, {})


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework refused before a handler ran."""
    if isinstance(error, ValidationException):
        return on_validation_error(request, error)
    if error.status_code >= 500:  # noqa: PLR2004  (the server's own fault)
        return on_unexpected(request, error)
    title, code = {
        400: (MalformedError.title(), MalformedError.code),
        404: (UnknownError.title(), UnknownError.code),
        405: METHOD_NOT_ALLOWED,
        413: (TooLargeError.title(), TooLargeError.code),
        415: UNSUPPORTED_MEDIA_TYPE,
    }.get(error.status_code, (error.detail, "refused"))
    return _answer(error.status_code, code, title, error.detail, {}, dict(error.headers or {}))


def on_bad_text(request: AnyRequest, _: UnicodeDecodeError) -> Response[dict[str, Any]]:
    """A body that is no UTF-8, which JSON must be (RFC 8259, section 8.1)."""
    return on_box_office_error(request, MalformedError("the request is not UTF-8"))


def on_database_gone(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """PostgreSQL cannot be reached, or ended our session: nothing is known to be wrong with the request."""
    log.error("database unavailable", path=request.url.path, error=repr(error))
    detail = "the database cannot be reached"
    if request.method not in _ONLY_READ and isinstance(error, _NO_ANSWER):
        detail = (
            "the database went away before it answered: look whether it was done, or repeat with an Idempotency-Key"
        )
    return on_box_office_error(request, UnavailableError(detail, retry_after_s=2))


def on_unexpected(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """A defect of ours: logged with its trace, told without details."""
    log.error("unexpected error", path=request.url.path, exc_info=error)
    title, code = INTERNAL_ERROR
    return _answer(500, code, title, "the error was logged; please try again", {}, {})


def on_misused_connection(request: AnyRequest, error: asyncpg.InterfaceError) -> Response[dict[str, Any]]:
    """A pool that is closing, a connection that was closed or is in use; a bad argument, though, is our defect."""
    if isinstance(error, ValueError):
        return on_unexpected(request, error)
    return on_database_gone(request, error)


def on_lost_race(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """PostgreSQL ended one of several transactions that were in each other's way: nothing of it took effect."""
    log.warning("transaction lost", path=request.url.path, error=repr(error))
    return on_box_office_error(request, UnavailableError("others were in the way; try again", retry_after_s=1))


def on_recursion(request: AnyRequest, error: RecursionError) -> Response[dict[str, Any]]:
    """JSON nested deeper than the parser follows is the client's mistake; any other recursion is ours."""
    if "while deserializing" in str(error):
        return on_box_office_error(request, MalformedError("the body is nested too deeply"))
    return on_unexpected(request, error)


EXCEPTION_HANDLERS: Final = {
    BoxOfficeError: on_box_office_error,
    HTTPException: on_http_error,
    UnicodeDecodeError: on_bad_text,
    # What asyncpg raises when the server is gone, going, full, or slower than its limits.
    asyncpg.PostgresConnectionError: on_database_gone,
    asyncpg.InternalClientError: on_database_gone,
    asyncpg.OperatorInterventionError: on_database_gone,
    asyncpg.InsufficientResourcesError: on_database_gone,
    asyncpg.CannotConnectNowError: on_database_gone,
    asyncpg.LockNotAvailableError: on_database_gone,
    # After a failover, a connection may end at the one that is no longer the primary.
    asyncpg.ReadOnlySQLTransactionError: on_database_gone,
    asyncpg.IdleInTransactionSessionTimeoutError: on_database_gone,
    asyncpg.InterfaceError: on_misused_connection,
    asyncpg.DeadlockDetectedError: on_lost_race,
    asyncpg.SerializationError: on_lost_race,
    # Time-outs, too: they are OSErrors.
    OSError: on_database_gone,
    RecursionError: on_recursion,
    Exception: on_unexpected,
}


def members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    """What every problem has."""
    return {
        "type": f"/api/docs/problems#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }


def _answer(
    status: int, code: str, title: str, detail: str, extra: Mapping[str, Any], headers: dict[str, str]
) -> Response[dict[str, Any]]:
    return Response(
        {**members(status, code, title, detail), **extra},
        status_code=status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )
