"""Where a buyer wants to hear of a booking."""

from typing import Annotated, Final, Literal
from uuid import UUID

from litestar import put
from litestar.di import NamedDependency
from litestar.params import Body as BodyOf
from litestar.params import FromPath
from msgspec import Meta

from boxoffice.accounts import Caller, Role
from boxoffice.audit import Action
from boxoffice.bookings.reading import BookingNotFoundError, locate_booking
from boxoffice.errors import MalformedError, UnidentifiedError
from boxoffice.mail.contact import (
    EMAIL_LENGTH_MAX,
    AddressesUsedUpError,
    Contact,
    contact_of,
    set_contact,
)
from boxoffice.postgres.pool import transaction
from boxoffice.web.acting import note_of_booking
from boxoffice.web.api.bookings import owner
from boxoffice.web.errors import problems
from boxoffice.web.examples import answers, example
from boxoffice.web.fields import Body
from boxoffice.web.identity import signed_in
from boxoffice.web.office import Office


class ContactRequest(Body, frozen=True, kw_only=True):
    """An address, or none for the account's own; ``locale`` is the language to write in."""

    email: Annotated[str, Meta(min_length=3, max_length=EMAIL_LENGTH_MAX)] | None = None
    locale: Literal["en", "hi"] = "en"


_REQUEST: Final = ContactRequest(email="asha@example.com", locale="hi")


@put(
    "/bookings/{booking_id:str}/contact",
    operation_id="setContact",
    summary="Say where to write to about a booking",
    tags=["bookings"],
    guards=[signed_in],
    responses={200: answers(Contact, Contact(email="asha@example.com", locale="hi"), "Who hears of the booking.")}
    | problems(MalformedError, UnidentifiedError, BookingNotFoundError, AddressesUsedUpError),
)
async def put_contact(
    office: NamedDependency[Office],
    caller: NamedDependency[Caller],
    booking_id: FromPath[UUID],
    data: Annotated[ContactRequest, BodyOf(examples=[example(_REQUEST)])],
) -> Contact:
    """The buyer is written to when the booking is confirmed, refunded or has run out, each once.

    Without an address here it is the account's; a guest without one is not written to. Given after the booking was
    confirmed, it has the tickets mailed, unless they were before: another address gets them too. A booking takes five
    addresses in turn; then 409, and staff can help. About bookings that nobody paid for, an address gets three letters
    a day; the booking itself always tells.
    """
    async with transaction(office.pool) as conn:
        show_id, by_staff = await locate_booking(conn, booking_id, owner=owner(caller)), caller.is_at_least(Role.STAFF)
        await set_contact(conn, show_id, booking_id, email=data.email, locale=data.locale, by_staff=by_staff)
        await note_of_booking(conn, office, caller, Action.SET_CONTACT, show_id, booking_id)
        return await contact_of(conn, show_id, booking_id)


ROUTES = [put_contact]
