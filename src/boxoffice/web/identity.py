"""Who is calling: a Bearer token (RFC 6750) becomes a `Caller`; guards say who may pass.

The guards are coroutines although they wait for nothing: the framework would run plain functions in a thread.
"""

from typing import Any, Final
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers.base import BaseRouteHandler

from boxoffice.accounts import Caller, Role
from boxoffice.errors import ForbiddenError, UnidentifiedError
from boxoffice.web.limits import UNLIMITED
from boxoffice.web.office import Office

AnyConnection = ASGIConnection[Any, Any, Any, State]
IGNORES_IDENTITY: Final = "ignores_identity"
"""The ``opt`` of a handler that gives an identity: clients send it the token that has just expired."""


async def identify(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Find out who calls; nobody is fine here, a token that is not good is not.

    Raises:
        UnidentifiedError: the Authorization header holds no good Bearer token.
        RateLimitedError: there were too many requests before this one.
    """
    office: Office = connection.app.state.office
    limited = not handler.opt.get(UNLIMITED)
    if limited:
        await office.limits.count_address(connection.scope)
    header = connection.headers.get("authorization")
    if header is None or handler.opt.get(IGNORES_IDENTITY):
        connection.state.caller = None
        return
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnidentifiedError("the Authorization header must be: Bearer <token>")
    connection.state.caller = caller = await office.accounts.identify(token.strip())
    if limited:
        await office.limits.count_caller(connection.scope, caller)


async def signed_in(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Guard: anyone with an identity, a guest included."""
    if connection.state.caller is None:
        raise UnidentifiedError("this needs an identity: POST /api/v1/auth/guest gives one")


async def staff_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Guard: staff and above."""
    await _at_least(Role.STAFF, connection, handler)


async def manager_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Guard: managers and above."""
    await _at_least(Role.MANAGER, connection, handler)


async def admin_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Guard: administrators."""
    await _at_least(Role.ADMIN, connection, handler)


async def _at_least(role: Role, connection: AnyConnection, handler: BaseRouteHandler) -> None:
    await signed_in(connection, handler)
    caller: Caller = connection.state.caller
    if not caller.is_at_least(role):
        raise ForbiddenError(f"this takes the role {role.value} or above")


def on_behalf_of(caller: Caller, user_id: UUID | None) -> UUID:
    """Whose seats and bookings a request is about: the caller's, or with staff anybody's.

    Raises:
        ForbiddenError: ``user_id`` is someone else's and the caller is not staff.
    """
    if user_id is None or user_id == caller.user_id:
        return caller.user_id
    if not caller.is_at_least(Role.STAFF):
        raise ForbiddenError("userId is not yours")
    return user_id
