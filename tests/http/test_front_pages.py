"""What is on, a film's page, posters, the language and the city, as a visitor meets them."""

import gzip
import re
from datetime import timedelta
from uuid import uuid4

import httpx
import make
import pytest
from visitor import HTML, Visitor

from boxoffice.postgres.pool import Pool
from boxoffice.web.office import Office


@pytest.fixture
async def visitor(client: httpx.AsyncClient, office: Office) -> Visitor:
    return Visitor(client, office)


async def in_city(pool: Pool, city: str, title: str, starts_in: timedelta = timedelta(hours=26)) -> make.Show:
    show = await make.show(pool, starts_in=starts_in)
    await pool.execute("UPDATE theatre SET city = $2, name = $3 WHERE id = $1", show.theatre_id, city, f"{city} Plaza")
    await pool.execute("UPDATE movie SET title = $2 WHERE id = $1", show.movie_id, title)
    return show


async def test_where_nothing_is_on_the_page_says_so(visitor: Visitor) -> None:
    await visitor.get("/")

    assert visitor.page.status_code == 200
    assert "The screens are dark" in visitor.text


async def test_the_front_page_has_the_films_of_the_city_and_the_day(visitor: Visitor, pool: Pool) -> None:
    here = await in_city(pool, "Pune", "Sholay")
    await in_city(pool, "Chennai", "Nayakan")
    await in_city(pool, "Pune", "Deewaar", timedelta(hours=26 + 48))

    await visitor.get("/?city=Pune")

    assert "What is on in Pune" in visitor.text
    assert "Sholay" in visitor.text
    assert "Nayakan" not in visitor.text
    assert "Deewaar" not in visitor.text
    assert f'href="/shows/{here.id}"' in visitor.page.text
    assert "10 seats left" in visitor.text


async def test_the_front_page_says_at_which_theatre_a_show_is(visitor: Visitor, pool: Pool) -> None:
    late, early = await in_city(pool, "Pune", "Sholay"), await in_city(pool, "Pune", "Sholay", timedelta(hours=25))
    third = await in_city(pool, "Pune", "Sholay", timedelta(hours=26.5))
    await pool.execute("UPDATE show SET movie_id = $1", late.movie_id)
    for show, name in ((late, "Regal"), (early, "Plaza")):
        await pool.execute("UPDATE theatre SET name = $2 WHERE id = $1", show.theatre_id, name)
    await pool.execute("UPDATE show SET theatre_id = $2 WHERE id = $1", third.id, early.theatre_id)

    await visitor.get("/?q=sholay")

    # Those of one house stand together, below its name; each says it for whoever hears the link alone.
    said = re.findall(rf'bill-house small">(\w+)<|/shows/({early.id}|{late.id}|{third.id})"', visitor.page.text)
    assert [house or show for house, show in said] == [
        "Plaza",
        str(early.id),
        str(third.id),
        "Regal",
        str(late.id),
    ]
    links = re.findall(r'<a class="chip show-chip".*?</a>', visitor.page.text, re.DOTALL)
    assert [re.findall("Plaza|Regal", link) for link in links] == [["Plaza"], ["Plaza"], ["Regal"]]


async def test_the_city_is_remembered_also_where_its_name_is_not_ascii(visitor: Visitor, pool: Pool) -> None:
    await in_city(pool, "पुणे", "Sholay")
    await in_city(pool, "Chennai", "Nayakan")
    await visitor.get("/?city=Chennai")
    assert "Nayakan" in visitor.text

    answer = await visitor.post("/city", {"city": "पुणे", "next": "/"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    await visitor.get("/")

    assert "Sholay" in visitor.text
    assert "Nayakan" not in visitor.text


@pytest.mark.parametrize(
    "address", ["/?city=Atlantis", "/?date=yesterday", "/?date=1999-01-01", "/?q=%00%20%20", "/?x=1"]
)
async def test_what_makes_no_sense_in_the_address_is_left_aside(visitor: Visitor, pool: Pool, address: str) -> None:
    await in_city(pool, "Pune", "Sholay")

    await visitor.get(address)

    assert visitor.page.status_code == 200
    assert "Sholay" in visitor.text


async def test_a_film_is_found_by_a_part_of_its_title_on_any_of_the_next_days(visitor: Visitor, pool: Pool) -> None:
    await in_city(pool, "Pune", "Sholay", timedelta(hours=26))
    await in_city(pool, "Pune", "The Lunchbox", timedelta(hours=26 + 72))

    await visitor.get("/?q=lunch")
    assert "1 film for “lunch”" in visitor.text
    assert "The Lunchbox" in visitor.text
    assert "Sholay" not in visitor.text

    await visitor.get("/?q=%25")
    assert "No film of that name" in visitor.text


async def test_shows_that_have_begun_are_not_on(visitor: Visitor, pool: Pool) -> None:
    show = await in_city(pool, "Pune", "Sholay")
    await make.begin(pool, show)

    await visitor.get("/")

    assert "Sholay" not in visitor.text


async def test_a_films_page_has_its_facts_and_shows_with_prices_and_how_full_they_are(
    visitor: Visitor, pool: Pool
) -> None:
    show = await in_city(pool, "Pune", "Sholay")
    await pool.execute(
        "UPDATE show_seat SET taken_until = now() + interval '1 hour', holder_id = $2, revision = revision + 1"
        " WHERE show_id = $1",
        show.id,
        uuid4(),
    )

    await visitor.get(f"/films/{show.movie_id}")

    for told in ("Sholay", "3 h 24 min", "Pune Plaza", "from ₹250", "Sold out", "IST"):
        assert told in visitor.text
    assert f"/posters/{show.movie_id}.svg?v=" in visitor.page.text


async def test_a_film_that_there_is_not_is_a_page(visitor: Visitor) -> None:
    await visitor.get(f"/films/{uuid4()}")

    assert visitor.page.status_code == 404
    assert "We do not show this film" in visitor.text


async def test_a_poster_is_kept_for_good_by_the_address_that_names_its_version(
    client: httpx.AsyncClient, visitor: Visitor, pool: Pool
) -> None:
    show = await in_city(pool, "Pune", "Sholay")
    plain = await client.get(f"/posters/{show.movie_id}.svg")
    assert plain.headers["content-type"] == "image/svg+xml"
    assert plain.headers["cache-control"] == "public, max-age=3600"
    etag = plain.headers["etag"]

    versioned = await client.get(f"/posters/{show.movie_id}.svg", params={"v": etag.strip('"')})
    again = await client.get(f"/posters/{show.movie_id}.svg", headers={"If-None-Match": etag})
    await pool.execute("UPDATE movie SET title = 'Deewaar' WHERE id = $1", show.movie_id)
    changed = await client.get(f"/posters/{show.movie_id}.svg", headers={"If-None-Match": etag})

    assert versioned.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "set-cookie" not in versioned.headers
    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, "Deewaar" in changed.text) == (200, True)
    for nothing in (f"/posters/{uuid4()}.svg", "/posters/x.svg"):
        assert (await client.get(nothing)).status_code == 404


async def test_the_language_is_the_browsers_until_the_visitor_chooses(visitor: Visitor, pool: Pool) -> None:
    await in_city(pool, "Pune", "Sholay")
    await visitor.get("/", **{"Accept-Language": "hi-IN,hi;q=0.9"})
    assert '<html lang="hi">' in visitor.page.text
    assert visitor.page.headers["content-language"] == "hi"
    assert "Pune में क्या चल रहा है" in visitor.text

    answer = await visitor.post("/language", {"language": "en", "next": "/sign-in"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    await visitor.get("/", **{"Accept-Language": "hi"})
    assert '<html lang="en">' in visitor.page.text

    await visitor.post("/language", {"language": "xx"})
    assert visitor.page.status_code == 400


async def test_the_front_page_is_small(client: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(30):
        await in_city(pool, "Pune", f"Film {number}")

    page = await client.get("/?city=Pune", headers=HTML)

    assert page.text.count("bill-poster") == 30
    assert len(gzip.compress(page.content)) < 12_000


async def test_what_the_worker_keeps_tells_nothing_of_the_visitor(visitor: Visitor) -> None:
    await (await visitor.become_guest()).get("/offline")

    assert "No connection" in visitor.text
    assert "in the PDF if you saved it" in visitor.text
    assert not [private for private in ("csrf", "sign-out", "/bookings", "/sign-in") if private in visitor.page.text]
    worker = await visitor.get("/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert "/offline" in worker.text
    manifest = await visitor.get("/manifest.webmanifest")
    assert manifest.json()["start_url"] == "/"
