"""Draws a film's poster as SVG from what the catalogue knows of it. Pure: the same film has the same poster, always.

Everything is drawn by us in plain shapes and the reader's own fonts: nothing is loaded, nothing can run in it, and what
people typed into the catalogue is escaped.
"""

from functools import lru_cache
from random import Random
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from boxoffice.web.pages.poster_scenes import HEIGHT, SCENES, WIDTH, Palette, Scene, horizon

DRAWING: Final = 1
"""Counted up when posters are drawn otherwise, so that browsers ask for them again."""
SEED: Final = 52
"""What the dice begin with: of the first sixty, the one that tells the demo's films apart best."""
POSTERS_KEPT: Final = 512
"""In memory; each has some 3 kB."""
TITLE_LINES_MAX: Final = 4
TITLE_SIZES: Final = (52, 44, 38, 32, 27, 23)
TITLE_WIDTH: Final = WIDTH - 44
SERIF: Final = (
    "'Iowan Old Style','Palatino Linotype',Palatino,'Book Antiqua','Noto Serif','Noto Serif Devanagari',Georgia,serif"
)
SANS: Final = (
    "'Avenir Next Condensed','Arial Narrow','Roboto Condensed','Liberation Sans Narrow','Noto Sans',sans-serif"
)
LOUD: Final = frozenset({"action", "science fiction", "sci-fi", "thriller", "crime", "war", "sport", "adventure"})
"""Films of these kinds have their titles in capitals, without serifs."""

PALETTES: Final = (
    Palette("#1d1135", "#53306d", "#e0607e", "#ffb86b", "#fff0dc"),
    Palette("#0b2a33", "#14606e", "#5fb0a8", "#f5ad3d", "#fdf3df"),
    Palette("#2a0d12", "#7d1f2b", "#c8452f", "#ffc15e", "#fff1d6"),
    Palette("#10241c", "#2c5a41", "#7fa968", "#f2c14e", "#f7f3e3"),
    Palette("#0c1b3d", "#264b9b", "#6fa8dc", "#ff8a5c", "#f4f1ea"),
    Palette("#33200f", "#8a5130", "#d99a58", "#f6e0a4", "#fff6e6"),
    Palette("#3a1330", "#9c3d6a", "#f08a9b", "#ffd28a", "#fff3ea"),
    Palette("#15191f", "#3e4c5a", "#8496a3", "#f06a3e", "#f3efe6"),
)


class Credits(msgspec.Struct, frozen=True):
    """What a poster tells of a film."""

    title: str
    genres: tuple[str, ...]
    language: str
    year: int | None


@lru_cache(maxsize=POSTERS_KEPT)
def draw_poster(film: Credits) -> str:
    """The poster as an SVG document."""
    # Seeded by a text, the dice fall alike in every process.
    dice = Random(f"{SEED}/{film.title}/{film.year}")  # noqa: S311  (a picture, no secret)
    palette = dice.choice(PALETTES)
    scene = _scene(film, dice)(palette, dice)
    line = " · ".join(part for part in (film.language, str(film.year or "")) if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{_attribute(film.title)}">'
        f'<defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="{palette.mid}"/>'
        f'<stop offset=".7" stop-color="{palette.glow}"/></linearGradient>'
        f'<linearGradient id="f" x2="0" y2="1"><stop offset=".5" stop-color="{palette.deep}" stop-opacity="0"/>'
        f'<stop offset=".76" stop-color="{palette.deep}"/></linearGradient></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{_ground(dice, palette)}"/>{scene}'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#f)"/>{_title(film, palette)}'
        f'<path d="M22 436h{WIDTH - 44}" stroke="{palette.accent}" stroke-width="1.5"/>'
        f'<text x="22" y="458" fill="{palette.paper}" font-family="{SANS}" font-size="13" letter-spacing="2">'
        f"{escape(line.upper())}</text></svg>"
    )


def _scene(film: Credits, dice: Random) -> Scene:
    own = {genre.casefold() for genre in film.genres}
    for genre, scenes in SCENES.items():
        if genre in own:
            return dice.choice(scenes)
    return horizon


def _ground(dice: Random, palette: Palette) -> str:
    return "url(#s)" if dice.random() < 0.8 else palette.mid  # noqa: PLR2004  (most skies have a gradient)


def _title(film: Credits, palette: Palette) -> str:
    loud = any(genre.casefold() in LOUD for genre in film.genres[:2])
    text = film.title.upper() if loud else film.title
    # A letter is some part of its size wide; heavy capitals are wider.
    wide = 0.74 if loud else 0.6
    size, lines = _fitted(text, wide)
    pitch = round(size * 1.04)
    spans = "".join(
        f'<tspan x="22" y="{418 - pitch * (len(lines) - 1 - i)}">{escape(line)}</tspan>' for i, line in enumerate(lines)
    )
    font, weight = (SANS, 800) if loud else (SERIF, 600)
    style = f'font-family="{font}" font-weight="{weight}" font-size="{size}"'
    return f'<text fill="{palette.paper}" {style}>{spans}</text>'


def _fitted(text: str, wide: float) -> tuple[int, list[str]]:
    """The largest size in which the title fits, and its lines; one that never fits is cut short."""
    for size in TITLE_SIZES:
        room = int(TITLE_WIDTH / (size * wide))
        lines = _wrapped(text, room)
        # Large letters are for few lines.
        allowed = 2 if size >= TITLE_SIZES[1] else 3 if size >= TITLE_SIZES[3] else TITLE_LINES_MAX
        if len(lines) <= allowed and max(map(len, lines)) <= room:
            return size, lines
    room = int(TITLE_WIDTH / (TITLE_SIZES[-1] * wide))
    lines = [line[:room] for line in _wrapped(text, room)]
    if len(lines) > TITLE_LINES_MAX:
        lines = [*lines[: TITLE_LINES_MAX - 1], lines[TITLE_LINES_MAX - 1][: room - 1] + "…"]
    return TITLE_SIZES[-1], lines


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})
