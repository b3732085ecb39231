"""The catalogue: films, theatres with their screens, and shows."""

from typing import Annotated, Final

from msgspec import Meta

# PostgreSQL's text holds no NUL, and a name that cannot be seen is none.
_LABEL: Final = r"^(?=.*\S)[^\x00-\x1f\x7f]*$"
_TEXT: Final = r"^[^\x00]*$"

Label = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LABEL)]
"""A name or title: one line with something on it."""
Phrase = Annotated[str, Meta(max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A word or two, or nothing."""
Prose = Annotated[str, Meta(max_length=5000, pattern=_TEXT)]
"""Any text."""
