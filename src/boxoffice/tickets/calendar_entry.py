"""The show of a booking as an entry for the buyer's calendar (iCalendar, RFC 5545)."""

from datetime import UTC, datetime

from icalendar import Calendar, Event

from boxoffice.languages import Language, texts_in
from boxoffice.tickets.issue import Tickets
from boxoffice.tickets.wording import seat_names


def calendar_entry(tickets: Tickets, language: Language, *, base_url: str, now: datetime) -> bytes:
    """The entry, in UTC, which every calendar shows on its owner's clock.

    Its UID is the booking's id, so that an entry taken again replaces the one before.
    """
    texts = texts_in(language)
    show = tickets.show
    seats = ", ".join(seat_names(tickets))
    event = Event.new(
        uid=str(tickets.booking_id),
        stamp=now.astimezone(UTC),
        start=show.start_time.astimezone(UTC),
        end=show.end_time.astimezone(UTC),
        summary=show.movie.title,
        location=f"{show.theatre.name}, {show.screen.name}, {show.theatre.city}",
        description=texts.gettext("Seats: %(seats)s") % {"seats": seats},
        url=f"{base_url}/bookings/{tickets.booking_id}",
    )
    return Calendar.new(prodid="-//Box office//Tickets//EN", subcomponents=[event]).to_ical()
