"""Signing in and out on pages: a session in a cookie, new at each sign-in, and errors that keep what was typed."""

import httpx
import make
import pytest
from visitor import Visitor

from boxoffice.seating.claims import SeatsWanted
from boxoffice.web.office import Office

EMAIL = "asha@example.com"
PASSWORD = "eleven cups of tea"


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    return Visitor(client, office)


async def register(visitor: Visitor, **changes: str) -> httpx.Response:
    await visitor.get("/register?next=/bookings")
    return await visitor.post(
        "/register", {"email": EMAIL, "password": PASSWORD, "name": "Asha", "next": "/bookings"} | changes
    )


async def sign_in(visitor: Visitor, password: str = PASSWORD) -> httpx.Response:
    await visitor.get("/sign-in")
    return await visitor.post("/sign-in", {"email": EMAIL, "password": password, "next": "/bookings"})


def session_of(answer: httpx.Response) -> str:
    """The token that the answer gives the browser."""
    (found,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith("boxoffice=")]
    return found.partition(";")[0].partition("=")[2]


async def test_a_guest_registers_and_keeps_the_id_under_a_new_session(visitor: Visitor, office: Office) -> None:
    await (await visitor.become_guest()).get("/")
    guest = visitor.caller
    assert guest is not None

    answer = await register(visitor)

    assert (answer.status_code, answer.headers["location"]) == (303, "/bookings")
    caller = await office.accounts.identify_browser(session_of(answer))
    assert (caller.user_id, caller.guest) == (guest.user_id, False)
    assert caller.session_id != guest.session_id
    ended = await office.pool.fetchval("SELECT ended_at FROM account_session WHERE id = $1", guest.session_id)
    assert ended is not None


async def test_each_sign_in_has_a_session_of_its_own_and_signing_out_ends_it(
    client: httpx.AsyncClient, visitor: Visitor, office: Office
) -> None:
    first = session_of(await register(visitor))
    await visitor.get("/")
    assert "Sign out" in visitor.text
    await visitor.post("/sign-out")
    await visitor.get("/")
    assert "Sign in" in visitor.text

    second = session_of(await sign_in(visitor))
    assert second != first
    stolen = Visitor(client, office).with_session(first)
    await stolen.get("/")
    assert "Sign out" not in stolen.text


async def test_tokens_of_forms_do_not_outlive_a_sign_in(visitor: Visitor) -> None:
    await register(visitor)
    # The visitor still has the token of the page before.
    answer = await visitor.post("/sign-out")

    assert answer.status_code == 403


async def test_a_wrong_password_keeps_the_address_and_never_the_password(visitor: Visitor) -> None:
    await register(visitor)
    await visitor.get("/")
    await visitor.post("/sign-out")

    answer = await sign_in(visitor, "not the one")

    assert answer.status_code == 401
    assert "do not match" in visitor.text
    assert "Forgotten the password?" in visitor.text
    assert f'value="{EMAIL}"' in answer.text
    assert "not the one" not in answer.text
    assert not [line for line in answer.headers.get_list("set-cookie") if line.startswith("boxoffice=")]


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"email": "asha"}, 400, "That is no e-mail address"),
        ({"email": ""}, 400, "That is no e-mail address"),
        ({"password": "short"}, 400, "At least 8 characters"),
        ({"name": "x" * 201}, 400, "at most 200 characters"),
        ({"name": "a\nb"}, 400, "One line"),
        ({"password": "nul\x00nul\x00nul"}, 400, "cannot be typed"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    visitor: Visitor, changes: dict[str, str], status: int, told: str
) -> None:
    answer = await register(visitor, **changes)

    assert answer.status_code == status
    assert told in visitor.text
    assert 'aria-invalid="true"' in answer.text


async def test_an_address_that_is_taken_leads_to_signing_in(visitor: Visitor) -> None:
    await register(visitor)
    await visitor.get("/")
    await visitor.post("/sign-out")

    answer = await register(visitor)

    assert answer.status_code == 409
    assert "There is an account with this address." in visitor.text
    assert 'href="/sign-in?next=/bookings"' in answer.text


async def test_too_many_attempts_are_told_as_such(visitor: Visitor) -> None:
    await register(visitor)
    await visitor.get("/")
    await visitor.post("/sign-out")
    for _ in range(5):
        await sign_in(visitor, "not the one")

    assert (await sign_in(visitor)).status_code == 429
    assert "Too many attempts" in visitor.text


async def test_whoever_is_signed_in_goes_on_at_once(visitor: Visitor) -> None:
    await register(visitor)

    for path in ("/sign-in", "/register"):
        answer = await visitor.get(f"{path}?next=/bookings")
        assert (answer.status_code, answer.headers["location"]) == (303, "/bookings")


async def test_nobody_becomes_a_guest_once(visitor: Visitor, office: Office) -> None:
    await visitor.get("/sign-in?next=/bookings")
    first = session_of(await visitor.post("/guest", {"next": "/bookings"}))
    assert (await office.accounts.identify_browser(first)).guest

    again = await visitor.post("/guest", {"next": "/bookings"})
    assert not [line for line in again.headers.get_list("set-cookie") if line.startswith("boxoffice=")]


async def test_a_cookie_that_is_over_is_forgotten_and_no_error(visitor: Visitor) -> None:
    answer = await visitor.with_session("x" * 43).get("/")

    assert answer.status_code == 200
    assert [
        line for line in answer.headers.get_list("set-cookie") if line.startswith("boxoffice=") and "Max-Age=0;" in line
    ]


@pytest.mark.parametrize("ticked", [{"bring": "1"}, {}])
async def test_a_guest_who_signs_in_brings_along_what_was_picked_if_it_is_ticked(
    visitor: Visitor, office: Office, ticked: dict[str, str]
) -> None:
    account = (await office.accounts.register_in_browser(EMAIL, PASSWORD, "Asha", None)).caller.user_id
    show, guest = await make.show(office.pool), await visitor.become_guest()
    await guest.book(show, show.seats[0])
    wanted = SeatsWanted(show_id=show.id, user_id=guest.id, seat_ids=show.seats[1:2])
    await office.claims.hold(wanted, length=office.settings.seat_hold, key=None)
    page = await guest.get(f"/sign-in?next=/shows/{show.id}")
    assert 'name="bring" value="1" checked' in page.text
    assert (await office.hot_maps.fresh(show.id)).holds_of(guest.id)

    fields = {"email": EMAIL, "password": PASSWORD, "next": "/bookings"} | ticked
    assert (await guest.post("/sign-in", fields)).status_code == 303

    # At once, on the map and among the bookings.
    assert (await office.hot_maps.fresh(show.id)).holds_of(account) is bool(ticked)
    await guest.get("/bookings")
    assert ("Not paid yet" in guest.text) is bool(ticked)


async def test_who_is_nobody_has_nothing_to_bring(visitor: Visitor) -> None:
    assert 'name="bring"' not in (await visitor.get("/sign-in")).text
