"""A manager's way to a catalogue over HTTP: a film, a theatre, a screen, a show, as JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import make

API = "/api/v1"
MOVIE = {"title": "Sholay", "durationMin": 204, "language": "Hindi"}
THEATRE = {"name": "Regal", "city": "Mumbai", "timezone": "Asia/Kolkata"}
SCREEN = {
    "name": "Screen 1",
    "rows": [
        {"row": "A", "seats": [{"number": 1}, {"number": 2, "kind": "wheelchair"}]},
        {"row": "B", "seats": [{"number": 1, "tier": "VIP", "x": 0.5}]},
    ],
}
START = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


async def post(client: httpx.AsyncClient, who: make.Buyer, path: str, body: Any, status: int = 201) -> Any:
    answer = await client.post(f"{API}{path}", json=body, headers=who.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def get(client: httpx.AsyncClient, path: str, status: int = 200, **params: Any) -> Any:
    answer = await client.get(f"{API}{path}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


async def hall(client: httpx.AsyncClient, manager: make.Buyer) -> dict[str, Any]:
    """What a show needs: movie, theatre and screen."""
    movie = await post(client, manager, "/movies", MOVIE)
    theatre = await post(client, manager, "/theatres", THEATRE)
    screen = await post(client, manager, f"/theatres/{theatre['id']}/screens", SCREEN)
    return {"movie": movie, "theatre": theatre, "screen": screen}


def draft(of: dict[str, Any], start: datetime = START, **changes: Any) -> dict[str, Any]:
    return {
        "movieId": of["movie"]["id"],
        "screenId": of["screen"]["id"],
        "startTime": stamp(start),
        "prices": {"REGULAR": 25_000, "VIP": 60_000},
    } | changes
