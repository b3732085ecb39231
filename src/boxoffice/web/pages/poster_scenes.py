"""The pictures on posters: a scene for each kind of film, of plain shapes. Pure; the same dice draw the same picture.

A scene fills a sheet of `WIDTH` by `HEIGHT`; what matters in it is above `SCENE_BOTTOM`, since the title stands below.
"""

import math
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

WIDTH: Final = 320
HEIGHT: Final = 480
SCENE_BOTTOM: Final = 330
MIDDLE: Final = WIDTH // 2


class Palette(msgspec.Struct, frozen=True):
    """The colours of a poster, from dark to light, and one that stands out."""

    deep: str
    mid: str
    glow: str
    accent: str
    paper: str


Scene = Callable[[Palette, Random], str]


def circle(x: float, y: float, r: float, fill: str, opacity: float = 1) -> str:
    """A disc."""
    faint = "" if opacity == 1 else f' opacity="{opacity:g}"'
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{fill}"{faint}/>'


def path(d: str, fill: str, opacity: float = 1) -> str:
    """A filled outline."""
    faint = "" if opacity == 1 else f' opacity="{opacity:g}"'
    return f'<path d="{d}" fill="{fill}"{faint}/>'


def line(d: str, colour: str, width: float, opacity: float = 1) -> str:
    """A stroke."""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width:g}" opacity="{opacity:g}"/>'


def ridge(r: Random, y: int, height: int, steps: int = 8) -> str:
    """The outline of hills that fill all below."""
    points = [(round(i * WIDTH / steps), y - r.randrange(height)) for i in range(steps + 1)]
    return "M0 480L" + " ".join(f"{x} {at}" for x, at in points) + "V480z"


def hills(r: Random, y: int, height: int) -> str:
    """As `ridge`, with soft slopes."""
    a, b, c = (y - r.randrange(height) for _ in range(3))
    return f"M0 480V{a}C70 {a - height} 120 {b + height} 180 {b}S280 {c - height} 320 {c}V480z"


def stars(r: Random, colour: str, count: int, bottom: int = 260) -> str:
    """A night's sky, in one path of dots."""
    dots = "".join(f"M{r.randrange(4, WIDTH)} {r.randrange(6, bottom)}h.1" for _ in range(count))
    wide = r.choice((1.6, 2, 2.4))
    return f'<path d="{dots}" stroke="{colour}" stroke-width="{wide}" stroke-linecap="round" opacity=".85"/>'


def person(x: float, y: float, size: float, fill: str) -> str:
    """Somebody who stands there, seen from afar; ``y`` is the ground."""
    w, h = size * 0.16, size
    body = f"M{x - w:g} {y:g}l{w * 0.5:g} {-h * 0.72:g}q{w * 0.5:g} {-h * 0.1:g} {w:g} 0l{w * 0.5:g} {h * 0.72:g}z"
    return path(body, fill) + circle(x, y - h * 0.86, size * 0.1, fill)


def shore(p: Palette, r: Random) -> str:
    """Romance: two who look at one light, over water."""
    x, y = MIDDLE + r.randrange(-40, 41), r.randrange(120, 160)
    waves = "".join(
        line(f"M{x - half} {at}h{2 * half}", p.glow, 3, 0.75)
        for at, half in ((238, 70), (250, 46), (262, 58), (275, 30), (289, 38))
    )
    return (
        circle(x, y, 96, p.glow, 0.25)
        + circle(x, y, 68, p.accent)
        + path("M0 228H320V480H0z", p.mid)
        + waves
        + path(hills(r, 330, 18), p.deep)
        + person(MIDDLE - 16, 318, 58, p.deep)
        + person(MIDDLE + 14, 318, 52, p.deep)
    )


def windows(p: Palette, r: Random) -> str:
    """Romance, too: a house by night, where two windows are lit."""
    lit = {(1, 1 + r.randrange(3)), (2, r.randrange(4))}
    panes: list[str] = []
    for column in range(4):
        for row in range(5):
            x, y = 52 + column * 58, 46 + row * 54
            on = (column, row) in lit
            panes.append(
                path(f"M{x} {y + 40}V{y + 10}q21 -20 42 0V{y + 40}z", p.accent if on else p.deep, 1 if on else 0.5)
            )
            if on:
                panes.append(person(x + 21, y + 40, 30, p.deep))
    return path("M28 20H292V480H28z", p.mid) + path("M20 20H300V30H20z", p.glow, 0.5) + "".join(panes)


def letters(p: Palette, r: Random) -> str:
    """Romance once more: two paths that cross, and part."""
    tilt = r.choice((-1, 1))
    left = f"M{MIDDLE - 120 * tilt} 340C{MIDDLE - 90 * tilt} 200 {MIDDLE + 110 * tilt} 240 {MIDDLE + 40 * tilt} 40"
    right = f"M{MIDDLE + 120 * tilt} 340C{MIDDLE + 90 * tilt} 200 {MIDDLE - 110 * tilt} 240 {MIDDLE - 40 * tilt} 40"
    return (
        circle(MIDDLE, 178, 118, p.glow, 0.22)
        + line(left, p.accent, 10)
        + line(right, p.paper, 10, 0.9)
        + circle(MIDDLE + 40 * tilt, 40, 15, p.accent)
        + circle(MIDDLE - 40 * tilt, 40, 15, p.paper)
    )


def blinds(p: Palette, r: Random) -> str:
    """Crime: a lamp, a man, and the stripes of a blind across both."""
    x = MIDDLE + r.choice((-54, 54))
    stripes = "".join(path(f"M0 {y}L320 {y - 46}v11L0 {y + 11}z", p.deep, 0.55) for y in range(40, 420, 30))
    return (
        path(f"M{x} 0l-150 400h300z", p.accent, 0.8)
        + path(f"M{x - 26} 0h52l14 26h-80z", p.deep)
        + person(x, 352, 190, p.deep)
        + stripes
    )


def keys(p: Palette, r: Random) -> str:
    """Crime, too: the keys of a piano, and one that is red."""
    struck = r.randrange(1, 6)
    white = "".join(path(f"M{i * 46 + 2} 96h42V330h-42z", p.accent if i == struck else p.paper, 0.95) for i in range(7))
    black = "".join(path(f"M{i * 46 + 32} 96h28v138h-28z", p.deep) for i in (0, 1, 3, 4, 5))
    drop = circle(struck * 46 + 23, 62, 11, p.accent) + path(f"M{struck * 46 + 23} 34l9 22h-18z", p.accent)
    return path("M0 86H320V342H0z", p.deep, 0.6) + white + black + drop


def stairs(p: Palette, r: Random) -> str:
    """Thrillers: stairs that lead down, and a door ajar."""
    right = r.choice((True, False))
    steps = "".join(
        path(f"M{i * 26} {128 + i * 26}H320V480H{i * 26}z", p.mid if i % 2 else p.deep, 0.92) for i in range(9)
    )
    flip = "" if right else ' transform="matrix(-1 0 0 1 320 0)"'
    door = path("M20 26h62v102h-62z", p.accent) + path("M82 26l26 -12v126l-26 -12z", p.glow)
    beam = path("M20 128h62l150 240h-40z", p.accent, 0.28)
    return f"<g{flip}>{door}{steps}{beam}{person(150, 258, 56, p.paper)}</g>"


def spiral(p: Palette, r: Random) -> str:
    """Thrillers, too: rings that draw one in."""
    x, y = MIDDLE + r.randrange(-30, 31), 180
    rings = "".join(
        circle(x + (190 - size) * 0.12, y + (190 - size) * 0.1, size, p.mid if i % 2 else p.accent)
        for i, size in enumerate(range(190, 20, -24))
    )
    return rings + circle(x + 20, y + 17, 18, p.deep)


def blaze(p: Palette, r: Random) -> str:
    """Action: a sun that bursts, and riders before it."""
    x, y, count = MIDDLE + r.randrange(-50, 51), 206, 18
    turn = r.random()
    rays: list[str] = []
    for i in range(count):
        a = (i + turn) * 2 * math.pi / count
        b = a + math.pi / count
        rays.append(
            f"M{x} {y}L{x + 420 * math.cos(a):.0f} {y + 420 * math.sin(a):.0f}"
            f"L{x + 420 * math.cos(b):.0f} {y + 420 * math.sin(b):.0f}z"
        )
    crowd = "".join(person(at, 326 + r.randrange(8), r.randrange(46, 84), p.deep) for at in range(34, 310, 36))
    return path("".join(rays), p.accent, 0.5) + circle(x, y, 74, p.accent) + path(ridge(r, 330, 30), p.deep) + crowd


def blades(p: Palette, r: Random) -> str:
    """Action, too: banners on lances, in the wind."""
    lances: list[str] = []
    for i in range(7):
        x, top = 30 + i * 44, r.randrange(40, 120)
        lances.append(line(f"M{x} {top}V340", p.deep, 4))
        lances.append(path(f"M{x} {top + 4}l34 10l-8 14l10 16l-36 8z", p.accent if i % 2 else p.paper))
    return circle(MIDDLE, 190, 110, p.glow, 0.65) + "".join(lances) + path(ridge(r, 336, 26, 12), p.deep)


def kingdom(p: Palette, r: Random) -> str:
    """Fantasy: a palace above a fall of water, under the moon."""
    x = MIDDLE + r.randrange(-20, 21)
    towers = "".join(
        path(f"M{x + at} 190v{-h}q{w / 2:g} {-w} {w} 0v{h}z", p.deep)
        for at, h, w in ((-70, 44, 24), (-42, 78, 30), (-8, 112, 34), (30, 70, 28), (62, 40, 22))
    )
    fall = path(f"M{x - 26} 206h52l26 150h-104z", p.paper, 0.85)
    mist = "".join(circle(x + at, 340, size, p.paper, 0.35) for at, size in ((-60, 30), (-20, 38), (30, 36), (66, 26)))
    return (
        stars(r, p.paper, 40)
        + circle(MIDDLE + r.choice((-80, 80)), 84, 40, p.accent)
        + path("M0 230C60 180 90 196 118 190H202C240 200 270 180 320 226V480H0z", p.mid)
        + towers
        + fall
        + mist
    )


def lanterns(p: Palette, r: Random) -> str:
    """Animation: lanterns over a river, and a bridge."""
    lamps: list[str] = []
    for i in range(6):
        x = 30 + i * 52
        y = 76 + round(30 * math.sin(i * math.pi / 5)) + r.randrange(10)
        lamps.append(line(f"M{x} 30V{y}", p.paper, 1.5, 0.6))
        lamps.append(circle(x, y + 14, 26, p.accent, 0.25) + circle(x, y + 14, 15, p.accent))
    return (
        "".join(lamps)
        + line("M0 30Q160 60 320 26", p.paper, 2, 0.7)
        + path("M0 262H320V480H0z", p.mid)
        + line("M20 300Q160 150 300 300", p.deep, 14)
        + line("M20 278Q160 128 300 278", p.deep, 3)
        + person(r.choice((130, 160, 190)), 222, 44, p.deep)
        + "".join(line(f"M{r.randrange(20, 200)} {y}h{r.randrange(40, 110)}", p.paper, 2, 0.4) for y in (300, 314, 326))
    )


def orbit(p: Palette, r: Random) -> str:
    """Science fiction: a world with a ring, and somebody far from home."""
    x, y = MIDDLE + r.randrange(-24, 25), 160
    ring = (
        f'<ellipse cx="{x}" cy="{y}" rx="150" ry="34" fill="none" stroke="{p.accent}" stroke-width="7" opacity=".9"/>'
    )
    front = line(f"M{x - 150} {y}A150 34 0 0 0 {x + 150} {y}", p.accent, 7)
    return (
        stars(r, p.paper, 90, 330)
        + ring
        + circle(x, y, 84, p.glow)
        + path(f"M{x - 84} {y}A84 84 0 0 0 {x + 84} {y}A84 60 0 0 1 {x - 84} {y}z", p.mid, 0.8)
        + front
        + path(hills(r, 338, 24), p.deep)
        + person(MIDDLE + r.randrange(-70, 71), 326, 40, p.paper)
    )


def fission(p: Palette, r: Random) -> str:
    """History and lives: a hat, and the rings of what one mind set free."""
    turn = r.randrange(0, 60)
    rings = "".join(
        f'<ellipse cx="160" cy="176" rx="142" ry="50" fill="none" stroke="{p.accent}" stroke-width="4"'
        f' transform="rotate({turn + a} 160 176)" opacity=".85"/>'
        for a in (0, 60, 120)
    )
    head = path("M126 330V236q-8 -66 34 -66t34 66V330q40 10 46 60H80q6 -50 46 -60z", p.deep)
    hat = path("M92 204q68 -22 136 0q-6 12 -68 12t-68 -12z", p.deep) + path("M120 200q4 -60 40 -54t40 54z", p.deep)
    return circle(160, 176, 118, p.glow, 0.35) + rings + head + hat


def lanes(p: Palette, r: Random) -> str:
    """Sport: the lanes of an arena seen from above, and two who meet in its middle."""
    rings = "".join(
        circle(MIDDLE, 184, size, p.accent if i % 2 else p.mid) for i, size in enumerate((150, 134, 118, 102, 86))
    )
    tilt = r.randrange(-14, 15)
    fighters = (
        f'<g transform="rotate({tilt} 160 184)">{person(138, 232, 92, p.deep)}{person(182, 232, 92, p.paper)}</g>'
    )
    return rings + circle(MIDDLE, 184, 72, p.glow) + fighters


def cave(p: Palette, r: Random) -> str:
    """Adventure: deep below, a rope, and the light from where one fell."""
    x = MIDDLE + r.randrange(-26, 27)
    rocks = [
        (p.glow, 0.35, f"M0 0H{x - 66}C{x - 90} 120 {x - 40} 180 {x - 96} 480H0z"),
        (p.mid, 1, f"M0 0H{x - 92}C{x - 120} 140 {x - 60} 220 {x - 120} 480H0z"),
        (p.glow, 0.35, f"M320 0H{x + 60}C{x + 96} 130 {x + 44} 210 {x + 92} 480H320z"),
        (p.mid, 1, f"M320 0H{x + 90}C{x + 124} 120 {x + 70} 240 {x + 116} 480H320z"),
    ]
    return (
        path(f"M{x - 60} 0h120l70 360h-260z", p.accent, 0.5)
        + circle(x, 6, 52, p.paper, 0.95)
        + "".join(path(d, fill, opacity) for fill, opacity, d in rocks)
        + line(f"M{x} 40V226", p.deep, 2.5)
        + person(x, 284, 58, p.deep)
        + path(ridge(r, 350, 36, 10), p.deep)
    )


def confetti(p: Palette, r: Random) -> str:
    """Comedy: a stage, a spot of light, and things in the air."""
    bits = "".join(
        f'<rect x="{r.randrange(10, 300)}" y="{r.randrange(20, 260)}" width="{r.choice((10, 14, 22))}" height="8"'
        f' fill="{r.choice((p.accent, p.paper, p.glow))}" transform="rotate({r.randrange(90)} 160 150)"/>'
        for _ in range(22)
    )
    return (
        path("M160 -10L40 330h240z", p.paper, 0.22)
        + f'<ellipse cx="160" cy="326" rx="120" ry="18" fill="{p.accent}"/>'
        + (bits + person(MIDDLE + r.randrange(-20, 21), 324, 120, p.deep))
    )


def horizon(p: Palette, r: Random) -> str:
    """Drama, and whatever has no scene of its own: somebody on the way home, under a low sun."""
    x = MIDDLE + r.randrange(-70, 71)
    return (
        circle(x, 170, 86, p.accent)
        + path(hills(r, 226, 40), p.glow, 0.7)
        + path(hills(r, 270, 36), p.mid)
        + path(hills(r, 320, 30), p.deep)
        + person(r.randrange(60, 260), 312, 44, p.deep)
        + line("M250 330V236M250 262l-22 -18M250 250l20 -20", p.deep, 5)
        + circle(250, 226, 30, p.deep)
    )


def night(p: Palette, r: Random) -> str:
    """Horror: bare trees, and eyes."""
    trees = "".join(
        line(f"M{x} 480V{120 + r.randrange(60)}l{r.randrange(-18, 18)} -60M{x} 250l-26 -40M{x} 220l28 -44", p.deep, 9)
        for x in range(20, 320, 56)
    )
    x, y = r.randrange(90, 230), 266
    eyes = "".join(f'<ellipse cx="{x + d}" cy="{y}" rx="9" ry="5" fill="{p.accent}"/>' for d in (-15, 15))
    return circle(MIDDLE, 130, 70, p.paper, 0.9) + trees + eyes


SCENES: Final[dict[str, tuple[Scene, ...]]] = {
    "science fiction": (orbit,),
    "sci-fi": (orbit,),
    "animation": (lanterns,),
    "fantasy": (kingdom,),
    "horror": (night,),
    "sport": (lanes,),
    "adventure": (cave,),
    "crime": (keys, blinds),
    "thriller": (stairs, spiral),
    "mystery": (stairs, blinds),
    "romance": (shore, windows, letters),
    "history": (fission,),
    "biography": (fission,),
    "action": (blaze, blades),
    "war": (blades,),
    "comedy": (confetti,),
    "drama": (horizon,),
}
"""By genre, those that say most about a picture first: a film has the scene of the first one that is among its own."""
