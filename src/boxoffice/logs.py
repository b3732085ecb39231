"""Structured logs: JSON lines in production, readable lines in development, one event a line; no secrets in either.

A line that cannot be written (the disk is full, the terminal gone) is lost and counted; nobody is refused for it.
"""

import logging
import sys
import traceback
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import structlog

from boxoffice.secrecy import Mask, without_details, without_named

if TYPE_CHECKING:
    from prometheus_client import Counter

CHATTY: Final = ("httpx", "procrastinate", "alembic", "_granian", "granian.access", "fontTools", "stripe")
"""Libraries that tell of each thing they do."""


def configure(form: Literal["console", "json"], secrets: Iterable[str] = ()) -> None:
    """Send our own logs and those of the libraries to standard error, in one form, without ``secrets``."""
    mask = Mask(secrets, form=form)
    _lost_lines()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Not the default, which shows what local variables hold: passwords, tokens, settings.
    readable = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)

    def masked(_: object, level: str, line: str | bytes) -> str | bytes:
        # Our own good news is of few kinds and thousands a second, and has no words of others in it.
        if level == "info":
            return line
        return mask(line) if isinstance(line, str) else mask(line.decode()).encode()

    # Ours go straight to the stream: each request writes a line, and the standard library's way costs ten times this.
    structlog.configure(
        processors=[
            *shared,
            _withhold,
            *(
                [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_encode)]
                if form == "json"
                else [readable]
            ),
            masked,  # pyright: ignore[reportArgumentType]  (the last takes a line, and returns one)
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Bytes(sys.stderr.buffer) if form == "json" else _Text(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _withhold,
                *(
                    [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
                    if form == "json"
                    else [readable]
                ),
                lambda _logger, _level, line: mask(str(line)),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in CHATTY:
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        # The server brings a handler of its own, which writes whatever it is given.
        library.handlers = []
        library.propagate = True


class _Bytes(structlog.BytesLogger):
    """Lines of bytes, of which one that cannot be written is lost."""

    def msg(self, message: bytes) -> None:
        """Write a line."""
        try:
            super().msg(message)
        except (OSError, ValueError):
            _lost_lines().inc()

    info = warning = error = critical = msg


class _Text(structlog.PrintLogger):
    """The same, as text."""

    def msg(self, message: str) -> None:
        """Write a line."""
        try:
            super().msg(message)
        except (OSError, ValueError):
            _lost_lines().inc()

    info = warning = error = critical = msg


@cache
def _lost_lines() -> "Counter":
    # Imported by who logs, and not by who starts it: the library looks for its folder as it is imported.
    from prometheus_client import Counter  # noqa: PLC0415

    return Counter("boxoffice_log_lines_lost_total", "Lines of the log that could not be written to standard error")


def _withhold(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what is secret by its name, and what the database repeats in its errors."""
    error = event.get("exc_info")
    if error:
        if error is True:
            error = sys.exc_info()
        if isinstance(error, tuple):
            error = error[1]  # pyright: ignore[reportUnknownVariableType]  (what the interpreter says)
        if isinstance(error, BaseException):
            without_details(error)
    return without_named(event)  # pyright: ignore[reportArgumentType]  (a dict, always)


def tell_crash(secrets: Iterable[str], error: BaseException) -> None:
    """Write an error that nobody foresaw, with its trace, to standard error; for commands, which log nothing."""
    without_details(error)
    # Where nothing can be written, the exit code has to tell.
    with suppress(OSError, ValueError):
        sys.stderr.write(Mask(secrets)("".join(traceback.format_exception(error))))


def _encode(event: object, **_: Any) -> bytes:
    """One line; what JSON does not know is told as its ``repr``."""
    return msgspec.json.encode(event, enc_hook=repr)
