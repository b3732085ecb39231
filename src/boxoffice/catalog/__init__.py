"""The catalogue: films, theatres with their screens, and shows."""

from typing import Annotated, Final

from msgspec import Meta

# PostgreSQL's text holds no NUL, and a name that cannot be seen is none. `\Z`, since `$` would let a final line break
# pass; the documentation has them as ECMAScript writes them.
_LABEL: Final = r"\A(?=.*\S)[^\x00-\x1f\x7f]*\Z"
_LINE: Final = r"\A[^\x00-\x1f\x7f]*\Z"
_TEXT: Final = r"\A[^\x00]*\Z"

Label = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LABEL)]
"""A name or title: one line with something on it."""
Phrase = Annotated[str, Meta(max_length=50, pattern=_LINE)]
"""A word or two, or nothing."""
Prose = Annotated[str, Meta(max_length=5000, pattern=_TEXT)]
"""Any text."""
