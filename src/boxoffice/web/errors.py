"""Every error as RFC 9457 problem details; the one place where errors get their HTTP status."""

from collections.abc import Mapping
from typing import Any, Final, cast

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
    ConflictError: 409,
    TooLargeError: 413,
    KeyReusedError: 422,
    ThrottledError: 429,
    UnavailableError: 503,
}

log = structlog.get_logger(__name__)
AnyRequest = Request[Any, Any, State]


class Problem(msgspec.Struct, kw_only=True, rename="camel"):
    """Problem details (RFC 9457): ``code`` is stable, ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str


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
                    value=_members(status, error.code, error.title(), error.title()),
                )
                for error in found
            ],
        )
        for status, found in sorted(by_status.items())
    }


def on_box_office_error(_: AnyRequest, error: BoxOfficeError) -> Response[dict[str, Any]]:
    """An error that we raised on purpose."""
    headers: dict[str, str] = {}
    if isinstance(error, ThrottledError | UnavailableError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnidentifiedError):
        headers["WWW-Authenticate"] = "Bearer"
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
        405: ("This address does not take that method", "method_not_allowed"),
        413: (TooLargeError.title(), TooLargeError.code),
        415: ("This media type is not taken here", "unsupported_media_type"),
    }.get(error.status_code, (error.detail, "refused"))
    return _answer(error.status_code, code, title, error.detail, {}, dict(error.headers or {}))


def on_bad_text(request: AnyRequest, _: UnicodeDecodeError) -> Response[dict[str, Any]]:
    """A body that is no UTF-8, which JSON must be (RFC 8259, section 8.1)."""
    return on_box_office_error(request, MalformedError("the request is not UTF-8"))


def on_database_gone(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """PostgreSQL cannot be reached, or ended our session: nothing is known to be wrong with the request."""
    log.error("database unavailable", path=request.url.path, error=repr(error))
    return on_box_office_error(request, UnavailableError("the database cannot be reached", retry_after_s=2))


def on_unexpected(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """A defect of ours: logged with its trace, told without details."""
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return _answer(500, "internal_error", "Something went wrong here", "the error was logged; please try again", {}, {})


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
    OSError: on_database_gone,
    RecursionError: on_recursion,
    Exception: on_unexpected,
}


def _members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
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
        {**_members(status, code, title, detail), **extra},
        status_code=status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )
