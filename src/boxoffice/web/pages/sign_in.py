"""Signing in, registering, going on as a guest, signing out; what was typed stays typed, but for the password."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect

from boxoffice.accounts import (
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    Caller,
    EmailTakenError,
    HashingBusyError,
    InvalidCredentialsError,
    TooManyAttemptsError,
)
from boxoffice.errors import BoxOfficeError, MalformedError
from boxoffice.web.errors import status_of
from boxoffice.web.fields import NO_CONTROL, NO_NUL, Body
from boxoffice.web.pages.browser import PageRequest, become_guest, browser_of
from boxoffice.web.pages.page import go, local_path, render, texts_of

NAME_LENGTH_MAX: Final = 200
_REFUSALS: Final = (
    MalformedError,
    EmailTakenError,
    InvalidCredentialsError,
    TooManyAttemptsError,
    HashingBusyError,
)

Next = Annotated[str, QueryParameter(name="next")]
AnyPage = Response[str] | Redirect


class SignInForm(Body, frozen=True, kw_only=True):
    """Who signs in; what is missing is told by the page and not by an error."""

    email: str = ""
    password: str = ""
    next: str = "/"
    bring: str = ""
    """Ticked: what one has as a guest comes along."""


class RegisterForm(SignInForm, frozen=True, kw_only=True):
    """Who registers."""

    name: str = ""


class NextForm(Body, frozen=True, kw_only=True):
    """Where to go on."""

    next: str = "/"


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong with a form, in the visitor's language: as a whole, and by field."""

    status: int
    form: str = ""
    fields: dict[str, str] = {}
    email_is_known: bool = False


@get("/sign-in", sync_to_thread=False)
def show_sign_in(request: PageRequest, visitor: NamedDependency[Caller | None], to: Next = "/") -> AnyPage:
    """The form; who is signed in already goes on."""
    if visitor is not None and not visitor.guest:
        return go(local_path(to))
    return _page(request, "sign_in.html", SignInForm(next=to, bring="1"), None)


@post("/sign-in")
async def sign_in(request: PageRequest, data: URLEncodedBody[SignInForm]) -> AnyPage:
    """On to where the visitor wanted to go, or the form again with what is wrong."""
    browser = browser_of(request)
    wrong = await _try(request, lambda: browser.sign_in(data.email, data.password, bring=bool(data.bring)))
    return go(local_path(data.next)) if wrong is None else _page(request, "sign_in.html", data, wrong)


@get("/register", sync_to_thread=False)
def show_register(request: PageRequest, visitor: NamedDependency[Caller | None], to: Next = "/") -> AnyPage:
    """The form; who is signed in already goes on."""
    if visitor is not None and not visitor.guest:
        return go(local_path(to))
    return _page(request, "register.html", RegisterForm(next=to), None)


@post("/register")
async def register(request: PageRequest, data: URLEncodedBody[RegisterForm]) -> AnyPage:
    """On to where the visitor wanted to go, with an account, or the form again with what is wrong."""
    browser = browser_of(request)
    wrong = _wrong_text(request, data) or await _try(
        request, lambda: browser.register(data.email, data.password, data.name.strip())
    )
    return go(local_path(data.next)) if wrong is None else _page(request, "register.html", data, wrong)


@post("/guest")
async def go_on_as_guest(request: PageRequest, data: URLEncodedBody[NextForm]) -> Redirect:
    """On as a guest, who can hold seats and buy them."""
    await become_guest(request)
    return go(local_path(data.next))


@post("/sign-out")
async def sign_out(request: PageRequest) -> Redirect:
    """Nobody again: this browser's session is over, here and everywhere."""
    await browser_of(request).sign_out()
    return go("/")


@get(["/guest", "/sign-out"], sync_to_thread=False)
def lead_back() -> Redirect:
    """Whoever comes back to the address of a form sees what is on; nothing is sent again."""
    return go("/")


ROUTES: Final[list[Any]] = [show_sign_in, sign_in, show_register, register, go_on_as_guest, sign_out, lead_back]


def _page(request: PageRequest, template: str, form: SignInForm, wrong: Wrong | None) -> Response[str]:
    return render(
        request,
        template,
        status=200 if wrong is None else wrong.status,
        form=form,
        next=local_path(form.next),
        wrong=wrong or Wrong(200),
        password_length_min=PASSWORD_LENGTH_MIN,
        password_length_max=PASSWORD_LENGTH_MAX,
    )


async def _try(request: PageRequest, act: Callable[[], Awaitable[object]]) -> Wrong | None:
    try:
        await act()
    except _REFUSALS as error:
        return _told(request, error)
    return None


def _told(request: PageRequest, error: BoxOfficeError) -> Wrong:
    """A refusal as the form tells it."""
    gettext, status = texts_of(request).gettext, status_of(type(error))
    match error:
        case MalformedError():
            fields = {
                "email": gettext("That is no e-mail address. It looks like asha@example.com."),
                "password": gettext("At least %(least)d characters, please.") % {"least": PASSWORD_LENGTH_MIN},
            }
            wrong = error.extra.get("errors", {})
            return Wrong(status, fields={name: said for name, said in fields.items() if name in wrong})
        case EmailTakenError():
            said = gettext("There is an account with this address.")
            return Wrong(status, fields={"email": said}, email_is_known=True)
        case InvalidCredentialsError():
            return Wrong(status, form=gettext("E-mail address and password do not match. Please try again."))
        case TooManyAttemptsError():
            return Wrong(status, form=gettext("Too many attempts. Wait a minute, then try again."))
        case _:
            return Wrong(status, form=gettext("Very many people are signing in right now. Try again in a few seconds."))


def _wrong_text(request: PageRequest, form: RegisterForm) -> Wrong | None:
    """What no person would type."""
    fields: dict[str, str] = {}
    if len(form.name) > NAME_LENGTH_MAX or not re.match(NO_CONTROL, form.name):
        fields["name"] = texts_of(request).gettext("One line of at most 200 characters, please.")
    if not re.match(NO_NUL, form.password):
        fields["password"] = texts_of(request).gettext("This password has a character that cannot be typed.")
    return Wrong(400, fields=fields) if fields else None
