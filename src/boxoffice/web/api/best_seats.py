"""The best free seats for a party."""

from typing import Annotated, Final, Literal
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from boxoffice.catalog.layouts import Tier
from boxoffice.errors import MalformedError
from boxoffice.seating.best import PARTY_MAX, Wish
from boxoffice.seating.refusals import NotEnoughSeatsError, ShowNotFoundError
from boxoffice.seating.seat_map import SeatOnMap
from boxoffice.seating.usher import BestSeats
from boxoffice.web.errors import problems
from boxoffice.web.examples import SEAT_A1, SEAT_A2, SHOW_ID, answers
from boxoffice.web.office import Office

PartySize = Annotated[
    int, QueryParameter(name="count", ge=1, le=PARTY_MAX, description="How many seats, side by side if possible.")
]
WantedTier = Annotated[
    Tier | None, QueryParameter(name="tier", required=False, description="Only seats of this tier; otherwise of any.")
]
WantedKind = Annotated[
    Literal["standard", "wheelchair"],
    QueryParameter(
        name="kind",
        required=False,
        description="`wheelchair`: one place for a wheelchair, and seats beside it for everybody else.",
    ),
]

_BEST: Final = BestSeats(
    show_id=SHOW_ID,
    version=7,
    count=2,
    together=True,
    distance=0.5,
    total_price=50_000,
    currency="INR",
    seats=[
        SeatOnMap(id=seat, row="A", number=number, price=25_000, tier="REGULAR", kind="standard", status="available")
        for number, seat in enumerate((SEAT_A1, SEAT_A2), 1)
    ],
)


@get(
    "/seats/shows/{show_id:str}/best",
    operation_id="bestSeats",
    summary="The best free seats together",
    tags=["seats"],
    responses={200: answers(BestSeats, _BEST, "The seats.")}
    | problems(MalformedError, ShowNotFoundError, NotEnoughSeatsError),
)
async def best_seats(
    office: NamedDependency[Office],
    show_id: FromPath[UUID],
    count: PartySize,
    tier: WantedTier = None,
    kind: WantedKind = "standard",
) -> BestSeats:
    """So many free seats as near as can be to where one sits best: in the middle, two thirds of the way back.

    Side by side in one row and leaving no seat alone, where that can be had; otherwise one group behind the other,
    otherwise in the fewest groups, and then `together` is false. It is advice: nothing is held, and two who ask at once
    are told the same seats.
    """
    return await office.usher.best(show_id, Wish(count=count, tier=tier, kind=kind))


ROUTES = [best_seats]
