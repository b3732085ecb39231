"""The languages of the pages: which one a visitor reads, and its texts.

The texts in the code and the templates are English; a gettext catalogue a further language holds the others. It is
read as it was written, at the first page in that language, so that there is nothing to compile.
"""

import io
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Final

import msgspec
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

CATALOGUES: Final = Path(__file__).parent / "web" / "locale"
DOMAIN: Final = "messages"


class Language(msgspec.Struct, frozen=True, kw_only=True):
    """A language that every page speaks."""

    code: str
    """As in ``lang`` attributes, in `Accept-Language` and in the cookie."""
    name: str
    """In the language itself."""
    region: str
    """Where its way of writing numbers, money and dates is from."""

    @property
    def locale(self) -> Locale:
        """How numbers, money and dates are written."""
        return Locale(self.code, self.region)


ENGLISH: Final = Language(code="en", name="English", region="IN")
HINDI: Final = Language(code="hi", name="हिन्दी", region="IN")
LANGUAGES: Final = {language.code: language for language in (ENGLISH, HINDI)}


def choose_language(chosen: str | None, accepted: str) -> Language:
    """The language for a visitor: the one they chose, else the first that their browser asks for.

    Args:
        chosen: the code that the visitor chose here, if any.
        accepted: an `Accept-Language` header, well formed or not.
    """
    if chosen in LANGUAGES:
        return LANGUAGES[chosen]
    wanted: list[tuple[float, str]] = []
    for item in accepted[:500].split(","):
        tag, _, weight = item.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        code = tag.strip().lower().partition("-")[0]
        if code in LANGUAGES and quality > 0:
            wanted.append((-quality, code))
    # The sort keeps the order of those that are wanted equally.
    wanted.sort(key=lambda item: item[0])
    return LANGUAGES[wanted[0][1]] if wanted else ENGLISH


@cache
def texts_in(language: Language) -> NullTranslations:
    """The texts of a language, looked up by the English ones."""
    if language == ENGLISH:
        return NullTranslations()
    path = CATALOGUES / language.code / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language.code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)
