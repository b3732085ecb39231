"""Who is calling: guests, accounts, sessions.

These operations ignore ``Idempotency-Key``: to replay an answer is to store it, and tokens are not
stored. Repeating any of them does no harm.
"""

from typing import Annotated, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from msgspec import Meta

from boxoffice.accounts import (
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    Account,
    Caller,
    EmailTakenError,
    Grant,
    HashingBusyError,
    InvalidCredentialsError,
    InvalidTokenError,
    Role,
    TooManyAttemptsError,
)
from boxoffice.errors import MalformedError, UnidentifiedError
from boxoffice.web.errors import AnyRequest, problems
from boxoffice.web.examples import answers, example
from boxoffice.web.fields import NO_CONTROL, NO_NUL, Body
from boxoffice.web.identity import IGNORES_IDENTITY, signed_in
from boxoffice.web.office import Office

Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=NO_CONTROL)]
NewPassword = Annotated[str, Meta(min_length=PASSWORD_LENGTH_MIN, max_length=PASSWORD_LENGTH_MAX, pattern=NO_NUL)]

_GRANT: Final = Grant(
    user_id=UUID("7b0c4c1e-58f5-4d0a-9a54-2f6d6a3c1f10"),
    access_token="eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3YjBjNGMxZSJ9.c2lnbmF0dXJl",  # noqa: S106  (an example)
    token_type="Bearer",  # noqa: S106  (the name of the scheme)
    expires_in=3600,
    refresh_token="PwwdfppUT2uKLl0ce54KQnV1pSnk9h3fKtX80h2E5PH7878WRDZYIcvJN2lphDxpadnY",  # noqa: S106  (an example)
    role=Role.CUSTOMER,
    guest=False,
)
_ACCOUNT: Final = Account(
    user_id=_GRANT.user_id, email="asha@example.com", name="Asha Rao", role=Role.CUSTOMER, guest=False
)


class RegisterRequest(Body, frozen=True, kw_only=True):
    """Who registers."""

    email: Email
    password: NewPassword
    name: Annotated[str, Meta(max_length=200, pattern=NO_CONTROL)] = ""


class LoginRequest(Body, frozen=True, kw_only=True):
    """Who signs in."""

    email: Email
    password: Annotated[str, Meta(min_length=1, max_length=PASSWORD_LENGTH_MAX)]


class RefreshRequest(Body, frozen=True, kw_only=True):
    """The refresh token that came with the access token."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]


@post(
    "/auth/guest",
    operation_id="beGuest",
    summary="Become a guest",
    tags=["identity"],
    status_code=201,
    opt={IGNORES_IDENTITY: True},
    responses={201: answers(Grant, _GRANT, "A new guest, and the tokens to call with.")}
    | problems(TooManyAttemptsError),
)
async def be_guest(request: AnyRequest, office: NamedDependency[Office]) -> Grant:
    """An identity without an account: enough to hold seats, book and pay.

    Register with its token later, and everything it did stays yours.
    """
    return await office.accounts.guest(address=_address(request))


@post(
    "/auth/register",
    operation_id="register",
    summary="Register",
    tags=["identity"],
    status_code=201,
    responses={201: answers(Grant, _GRANT, "The account, and the tokens to call with.")}
    | problems(MalformedError, InvalidTokenError, EmailTakenError, TooManyAttemptsError, HashingBusyError),
)
async def register(
    request: AnyRequest,
    office: NamedDependency[Office],
    visitor: NamedDependency[Caller | None],
    data: Annotated[
        RegisterRequest,
        BodyOf(
            examples=[
                example(
                    RegisterRequest(email="asha@example.com", password="eleven cups of tea", name="Asha Rao")  # noqa: S106  (an example)
                )
            ]
        ),
    ],
) -> Grant:
    """An account with the role `customer`.

    Called with a guest's token it turns that guest into the account: same id, same holds and bookings, and
    the guest's tokens go on working. A caller who has an account already gets a further one.
    """
    return await office.accounts.register(data.email, data.password, data.name, visitor, address=_address(request))


@post(
    "/auth/login",
    operation_id="login",
    summary="Sign in",
    tags=["identity"],
    status_code=200,
    opt={IGNORES_IDENTITY: True},
    responses={200: answers(Grant, _GRANT, "The tokens to call with.")}
    | problems(MalformedError, InvalidCredentialsError, TooManyAttemptsError, HashingBusyError),
)
async def login(
    request: AnyRequest,
    office: NamedDependency[Office],
    data: Annotated[
        LoginRequest,
        BodyOf(
            examples=[example(LoginRequest(email="asha@example.com", password="eleven cups of tea"))]  # noqa: S106  (an example)
        ),
    ],
) -> Grant:
    """A session for the account. Failed attempts are limited by e-mail address and by network address."""
    return await office.accounts.login(data.email, data.password, address=_address(request))


@post(
    "/auth/refresh",
    operation_id="refresh",
    summary="Stay signed in",
    tags=["identity"],
    status_code=200,
    opt={IGNORES_IDENTITY: True},
    responses={200: answers(Grant, _GRANT, "The next pair of tokens.")} | problems(MalformedError, InvalidTokenError),
)
async def refresh(
    office: NamedDependency[Office],
    data: Annotated[RefreshRequest, BodyOf(examples=[example(RefreshRequest(refresh_token=_GRANT.refresh_token))])],
) -> Grant:
    """The next pair of tokens; the refresh token that was sent is used up.

    One that is sent a second time, however long after, was stolen, or its answer got lost: the session ends, sign in
    again.
    """
    return await office.accounts.refresh(data.refresh_token)


@post(
    "/auth/logout",
    operation_id="logout",
    summary="Sign out",
    tags=["identity"],
    guards=[signed_in],
    status_code=204,
    responses=problems(UnidentifiedError, InvalidTokenError),
)
async def logout(office: NamedDependency[Office], caller: NamedDependency[Caller]) -> None:
    """End the session: its access and refresh tokens are worth nothing from now on."""
    await office.accounts.logout(caller)


@get(
    "/auth/me",
    operation_id="me",
    summary="Who am I",
    tags=["identity"],
    guards=[signed_in],
    responses={200: answers(Account, _ACCOUNT, "The caller's account.")}
    | problems(UnidentifiedError, InvalidTokenError),
)
async def me(office: NamedDependency[Office], caller: NamedDependency[Caller]) -> Account:
    """The caller's own account; a guest's has no e-mail address."""
    return await office.accounts.me(caller)


def _address(request: AnyRequest) -> str:
    office: Office = request.app.state.office
    return office.limits.address_of(request.scope)


ROUTES = [be_guest, register, login, refresh, logout, me]
