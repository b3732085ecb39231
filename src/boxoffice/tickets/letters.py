"""What buyers are written: their tickets, what of their money comes back and why, and that a booking ran out.

A letter is put into words here once, in the reader's language, and set as text and as HTML from the same
words. Nothing that somebody typed reaches a header with a line break in it.
"""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from boxoffice.bookings.reading import BookedShow
from boxoffice.formats import formats_in
from boxoffice.languages import Language, texts_in
from boxoffice.payments.refunds import Refund
from boxoffice.tickets.issue import Tickets
from boxoffice.tickets.wording import seat_names

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
SUBJECT_LENGTH_MAX: Final = 150


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A letter in words."""

    subject: str
    place: str
    heading: str
    paragraphs: list[str]
    facts: list[tuple[str, str]]
    link: str
    url: str


def confirmed(tickets: Tickets, language: Language, base_url: str) -> Words:
    """The tickets are there: they are attached."""
    _ = texts_in(language).gettext
    formats = formats_in(language)
    show = tickets.show
    total = sum(ticket.seat.price for ticket in tickets.tickets)
    return Words(
        subject=_("Your tickets for %(title)s") % {"title": show.movie.title},
        place=_place(show),
        heading=show.movie.title,
        paragraphs=[
            _("Your seats are booked and paid for. The tickets are attached: print them, or show them on your phone."),
            _("Each code lets one person in, once. Keep it to yourself until you are at the door."),
        ],
        facts=[
            *_when_and_where(show, language),
            (_("Seats"), formats.items(seat_names(tickets))),
            (_("Paid"), formats.money(total, tickets.currency)),
            (_("Booking"), str(tickets.booking_id)),
        ],
        link=_("See your tickets"),
        url=f"{base_url}/bookings/{tickets.booking_id}",
    )


def refunded(show: BookedShow, refund: Refund, seats: list[str], language: Language, base_url: str) -> Words:
    """Money comes back: how much, and why."""
    _ = texts_in(language).gettext
    formats = formats_in(language)
    amount = formats.money(refund.amount, refund.currency)
    why = {
        "paid_too_late": _("Your payment arrived when the time for it was over and the seats had been sold to others."),
        "paid_after_cancel": _("Your payment arrived after the booking had been cancelled."),
        "paid_twice": _(
            "This booking had been paid for already: the second payment comes back. Your tickets stay good."
        ),
    }.get(refund.reason, _("As you asked, the seats were given back. Their tickets are no longer good."))
    return Words(
        subject=_("%(amount)s comes back: %(title)s") % {"amount": amount, "title": show.movie.title},
        place=_place(show),
        heading=_("%(amount)s comes back to you") % {"amount": amount},
        paragraphs=[why, _("It goes the way that you paid. Banks take some days until you see it.")],
        facts=[
            (_("Film"), show.movie.title),
            *_when_and_where(show, language),
            *([(_("Seats"), formats.items(seats))] if seats else []),
            (_("Comes back"), f"{amount} ({refund.percentage}%)"),
            (_("Booking"), str(refund.booking_id)),
        ],
        link=_("See your booking"),
        url=f"{base_url}/bookings/{refund.booking_id}",
    )


def expired(show: BookedShow, seats: list[str], language: Language, base_url: str) -> Words:
    """The time to pay is over, and the seats are free again."""
    _ = texts_in(language).gettext
    return Words(
        subject=_("Your booking for %(title)s has run out") % {"title": show.movie.title},
        place=_place(show),
        heading=_("The time to pay is over"),
        paragraphs=[
            _("We had no payment for this booking in time, so its seats are free again. Nothing was charged."),
            _("If you have just paid: you get your seats if they are still free, and otherwise your money back."),
        ],
        facts=[
            (_("Film"), show.movie.title),
            *_when_and_where(show, language),
            *([(_("Seats"), formats_in(language).items(seats))] if seats else []),
        ],
        link=_("Choose seats again"),
        url=f"{base_url}/shows/{show.id}",
    )


def envelope(words: Words, language: Language, *, sender: str, to: str, message_id: UUID) -> EmailMessage:
    """The letter as text and HTML, without attachments; the same Message-ID whenever it is made again."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = _one_line(words.subject)[:SUBJECT_LENGTH_MAX]
    message["Message-ID"] = f"<{message_id}@{parseaddr(sender)[1].partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_plain(words))
    html = _TEMPLATES.get_template("letter.html").render(letter=words, lang=language.code)
    message.add_alternative(html, subtype="html")
    return message


def default_sender(base_url: str) -> str:
    """Who letters are from where nothing else is set: the host that people know."""
    return f"Box office <tickets@{urlsplit(base_url).hostname or 'localhost'}>"


def _place(show: BookedShow) -> str:
    return f"{show.theatre.name} · {show.theatre.city}"


def _when_and_where(show: BookedShow, language: Language) -> list[tuple[str, str]]:
    _ = texts_in(language).gettext
    return [
        (_("When"), formats_in(language).local_date_time(show.start_time, show.theatre.timezone)),
        (_("Where"), f"{show.theatre.name}, {show.screen.name}"),
    ]


def _plain(words: Words) -> str:
    lines = [words.place, words.heading, "", *(line for text in words.paragraphs for line in (text, ""))]
    lines += [f"{name}: {value}" for name, value in words.facts]
    return "\n".join(_one_line(line) for line in [*lines, "", f"{words.link}: {words.url}"]) + "\n"


def _one_line(text: str) -> str:
    """Without line breaks and other control characters, which would end a header or begin another."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
