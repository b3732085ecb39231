"""A ticket's code as a QR symbol: SVG to put into a page, squares to draw on paper."""

import io
from functools import lru_cache
from typing import Final

import segno

QUIET_ZONE: Final = 4
"""Blank modules on each side, as the standard (ISO/IEC 18004) wants them."""


SYMBOLS_KEPT_MAX: Final = 1024
"""Drawn symbols, some 4 KiB each: a page that is looked at again costs nothing."""
_MASK: Final = 2


@lru_cache(SYMBOLS_KEPT_MAX)
def qr_svg(code: str, title: str) -> str:
    """The symbol as an SVG element to stand in a page: no inline style, black on white in any colour scheme.

    It takes the size that the page gives it; ``title`` is what a screen reader says.
    """
    written = io.BytesIO()
    _symbol(code).save(
        written,
        kind="svg",
        border=QUIET_ZONE,
        dark="#000",
        light="#fff",
        title=title,
        svgclass="qr",
        lineclass=None,
        omitsize=True,
        xmldecl=False,
        nl=False,
    )
    return written.getvalue().decode()


def qr_rows(code: str) -> list[list[bool]]:
    """The modules, row by row, true for dark, without the quiet zone."""
    return [[bool(module) for module in line] for line in _symbol(code).matrix]


def _symbol(code: str) -> segno.QRCode:
    # Correction M survives a crease or a smear, in a symbol that a cheap scanner still resolves at 25 mm.
    # The mask is chosen beforehand: a signature has no pattern that one mask would hide better than another, and to
    # compare all eight takes five times as long as the rest.
    return segno.make_qr(code, error="m", mask=_MASK, boost_error=False)
