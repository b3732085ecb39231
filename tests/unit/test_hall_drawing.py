"""A drawing tells every seat once, in its order, with its shape, its sign and its state, whatever the layout."""

import re
from uuid import UUID
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.catalog.layouts import RowLayout, ScreenLayout, SeatPlace
from boxoffice.web.pages.hall_drawing import HallDrawing, HallDrawings, SeatNow

LABELS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
SEATS = st.lists(
    st.builds(
        SeatPlace,
        number=st.integers(1, 9999),
        tier=st.sampled_from(["REGULAR", "PREMIUM", "VIP"]),
        kind=st.sampled_from(["standard", "wheelchair", "companion"]),
        x=st.floats(0, 10_000),
        y=st.floats(0, 10_000),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def layouts(draw: st.DrawFn) -> ScreenLayout:
    labels = draw(st.lists(LABELS, min_size=1, max_size=4, unique=True))
    rows = [RowLayout(row=label, seats=draw(SEATS)) for label in labels]
    return ScreenLayout(
        screen_id=UUID(int=draw(st.integers(1, 3))),
        total_seats=sum(len(row.seats) for row in rows),
        rows=labels,
        layout=rows,
    )


@given(layouts())
def test_every_seat_is_drawn_in_its_row_and_in_order(layout: ScreenLayout) -> None:
    drawing = HallDrawing(layout)
    now = [SeatNow(UUID(int=i), i if i % 2 else None, "free") for i in range(layout.total_seats)]

    # Row labels may hold anything: the parser takes it only if all of it is escaped.
    rows = ET.fromstring(f"<svg>{drawing.seats(now)}</svg>")  # noqa: S314  (our own drawing)

    assert [row.get("data-row") for row in rows] == layout.rows
    drawn = [seat for row in rows for seat in row]
    places = [seat for line in layout.layout for seat in line.seats]
    assert [seat.get("data-id") for seat in drawn] == [str(one.id) for one in now]
    assert [seat.get("data-n") for seat in drawn] == [str(place.number) for place in places]
    assert [seat.get("class") for seat in drawn] == [place.tier.lower() for place in places]
    assert [seat.get("data-price") for seat in drawn] == [one.own_price and str(one.own_price) for one in now]
    kinds = [seat.get("data-kind") or "standard" for seat in drawn]
    assert kinds == [place.kind for place in places]
    assert drawing.signs.count("<use ") == len([kind for kind in kinds if kind != "standard"])
    assert len(ET.fromstring(f"<svg>{drawing.letters}</svg>")) == 2 * len(layout.rows)  # noqa: S314  (as above)


@given(layouts())
def test_nothing_stands_outside_the_picture(layout: ScreenLayout) -> None:
    drawing = HallDrawing(layout)
    left, top, width, height = map(float, drawing.view_box.split())
    now = [SeatNow(UUID(int=i), None, "free") for i in range(layout.total_seats)]

    for x, y in re.findall(r' d="M(-?[\d.]+) (-?[\d.]+)', drawing.seats(now)):
        assert left <= float(x) <= left + width
        assert top <= float(y) <= top + height


@given(layouts())
def test_the_list_has_every_seat_under_its_row_its_tier_and_its_price(layout: ScreenLayout) -> None:
    drawing = HallDrawing(layout)
    now = [SeatNow(UUID(int=i), i % 3 or None, "sold") for i in range(layout.total_seats)]

    rows = drawing.rows(now)

    assert [seat.id for row in rows for seat in row.seats] == [seat.id for seat in now]
    assert [f"{row.label}{seat.number}" for row in rows for seat in row.seats] == drawing.names
    assert [row.tier for row in rows for _ in row.seats] == drawing.tiers


def test_drawings_are_kept_until_others_need_the_room() -> None:
    def screen(number: int) -> ScreenLayout:
        seats = [SeatPlace(number=n, tier="VIP", kind="standard", x=n, y=0) for n in range(1, 6)]
        return ScreenLayout(
            screen_id=UUID(int=number), total_seats=5, rows=["A"], layout=[RowLayout(row="A", seats=seats)]
        )

    drawings = HallDrawings(seats_max=10)
    first = drawings.add(screen(1))
    drawings.add(screen(2))
    assert drawings.find(UUID(int=1)) is first
    drawings.add(screen(3))

    assert drawings.find(UUID(int=2)) is None
    assert drawings.find(UUID(int=1)) is first
    assert drawings.find(UUID(int=3)) is not None
