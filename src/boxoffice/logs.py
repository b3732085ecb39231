"""Structured logs: JSON lines in production, readable lines in development, one event a line."""

import logging
import sys
from typing import Any, Final, Literal

import msgspec
import structlog

CHATTY: Final = ("httpx", "procrastinate", "alembic", "_granian", "granian.access", "fontTools")
"""Libraries that tell of each thing they do."""


def configure(form: Literal["console", "json"]) -> None:
    """Send our own logs and those of the libraries to standard error, in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Ours go straight to the stream: each request writes a line, and the standard library's way costs ten times this.
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_encode)]
        if form == "json"
        else [*shared, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if form == "json"
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _encode(event: object, **_: Any) -> bytes:
    """One line; what JSON does not know is told as its ``repr``."""
    return msgspec.json.encode(event, enc_hook=repr)
