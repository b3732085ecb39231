"""How tickets call things, on paper and in letters alike."""

from gettext import NullTranslations

from boxoffice.tickets.issue import Tickets


def seat_names(tickets: Tickets) -> list[str]:
    """The seats as they are called: A4, A5."""
    return [f"{ticket.seat.row}{ticket.seat.number}" for ticket in tickets.tickets]


def tier_name(texts: NullTranslations, tier: str) -> str:
    """A tier in a reader's language; one that we have no word for keeps its name."""
    return {
        "REGULAR": texts.gettext("Regular"),
        "PREMIUM": texts.gettext("Premium"),
        "VIP": texts.gettext("VIP"),
    }.get(tier, tier)
