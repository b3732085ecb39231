"""A poster is drawn from what the catalogue says: always the same, small, well formed, with nothing in it that runs."""

from xml.etree import ElementTree as ET

import pytest

from boxoffice.demo.films import FILMS, Film
from boxoffice.web.pages.poster_drawing import Credits, draw_poster
from boxoffice.web.pages.poster_scenes import SCENES

NASTY = "</text><script>alert('1')</script>\" onload=\"x & <b>"
HARMLESS = {"svg", "defs", "linearGradient", "stop", "rect", "circle", "ellipse", "path", "g", "text", "tspan"}


def credits_of(title: str, *genres: str, language: str = "Hindi", year: int | None = 1975) -> Credits:
    return Credits(title, genres, language, year)


def parts(drawn: str) -> list[ET.Element]:
    return list(ET.fromstring(drawn).iter())  # noqa: S314  (our own drawing)


@pytest.mark.parametrize("film", FILMS, ids=lambda film: film.title)
def test_every_film_of_the_demo_has_one_that_is_small_and_well_formed(film: Film) -> None:
    drawn = draw_poster(Credits(film.title, film.genres, film.language, film.year))

    assert len(drawn.encode()) < 6_000
    assert {part.tag.rpartition("}")[2] for part in parts(drawn)} <= HARMLESS


@pytest.mark.parametrize("genre", SCENES)
def test_every_genre_has_a_scene(genre: str) -> None:
    drawn = draw_poster(credits_of("Sholay", genre.title()))

    assert len(drawn.encode()) < 6_000
    assert parts(drawn)


def test_the_same_film_has_the_same_poster_and_another_film_another() -> None:
    draw_poster.cache_clear()
    first = draw_poster(credits_of("Sholay", "Action"))
    draw_poster.cache_clear()

    assert draw_poster(credits_of("Sholay", "Action")) == first
    assert draw_poster(credits_of("Deewaar", "Action")) != first


def test_what_people_typed_is_text_and_nothing_else() -> None:
    drawn = draw_poster(credits_of(NASTY, NASTY, language=NASTY))

    assert "<script" not in drawn
    assert {part.tag.rpartition("}")[2] for part in parts(drawn)} <= HARMLESS
    assert not [name for part in parts(drawn) for name in part.attrib if name.lower().startswith("on")]
    assert parts(drawn)[0].attrib["aria-label"] == NASTY


@pytest.mark.parametrize(
    "title", ["", " ", "A" * 200, "word " * 40, "हम आपके हैं कौन", "千と千尋の神隠し", "A\u0301" * 100]
)
def test_any_title_is_set(title: str) -> None:
    drawn = draw_poster(credits_of(title, year=None))

    lines = [part for part in parts(drawn) if part.tag.endswith("tspan")]
    assert 1 <= len(lines) <= 4
    assert all(int(part.attrib["y"]) <= 418 for part in lines)
