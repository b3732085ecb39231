"""Which seat is next to which: the module's own geometry, in the browser that runs it, on halls of any shape."""

from typing import Any

from browser.visits import Visit

# Two straight rows, a curved one, a gap that is an aisle, and a row that is narrower.
HALL = """[
  ...[0, 10, 20, 42, 52].map((x, i) => ({ row: "A", n: i + 1, x, y: 0 })),
  ...[0, 10, 20, 42, 52].map((x, i) => ({ row: "B", n: i + 1, x, y: 11 })),
  ...[0, 10, 20, 42, 52].map((x, i) => ({ row: "C", n: i + 1, x, y: 30 - (x - 26) ** 2 / 100 })),
  ...[16, 26, 36].map((x, i) => ({ row: "D", n: i + 1, x, y: 41 })),
]"""


async def ask(visit: Visit, question: str) -> Any:
    await visit.goto("/")
    return await visit.page.evaluate(
        f"""async () => {{
          const {{ Places, neighbour, endOfRow }} = await import("/static/js/seat_map/places.js");
          const seats = {HALL};
          const places = new Places(seats);
          const at = (name) => seats.find((seat) => seat.row + seat.n === name);
          const name = (seat) => seat && seat.row + seat.n;
          const go = (from, direction, column) => name(neighbour(seats, at(from), direction, column));
          return {question};
        }}"""
    )


async def test_the_next_seat_is_the_one_that_a_person_would_point_at(desktop: Visit) -> None:
    found = await ask(
        desktop,
        """[
          go("A3", "right"), go("A4", "left"), go("A5", "right"), go("A1", "left"),
          go("A2", "down"), go("B2", "down"), go("C1", "up"), go("A2", "up"),
          go("C3", "down"), go("D2", "up"), go("D3", "down"), go("B3", "down", 52), go("D1", "left"),
        ]""",
    )

    assert found == ["A4", "A3", None, None, "B2", "C2", "B1", None, "D1", "C3", None, "C5", None]


async def test_every_seat_can_be_reached_by_arrows(desktop: Visit) -> None:
    unreached = await ask(
        desktop,
        """(() => {
          const seen = new Set([seats[0]]);
          for (const from of seen) {
            for (const direction of ["left", "right", "up", "down"]) {
              const next = neighbour(seats, from, direction);
              if (next) seen.add(next);
            }
          }
          return seats.filter((seat) => !seen.has(seat)).map(name);
        })()""",
    )

    assert unreached == []


async def test_the_nearest_seat_is_found_and_no_further_than_one_reaches(desktop: Visit) -> None:
    found = await ask(
        desktop,
        """[
          name(places.nearest(1, 1, 5)), name(places.nearest(14, 5, 8)), name(places.nearest(31, 0, 5)),
          name(places.nearest(48, 12, 20)), name(places.nearest(-300, -300, 8)),
          places.within(-1, -1, 11, 12).map(name).join(" "),
          name(endOfRow(seats, at("B3"), true)), name(endOfRow(seats, at("B3"), false)),
        ]""",
    )

    assert found == ["A1", "A2", None, "B5", None, "A1 A2 B1 B2", "B5", "B1"]
