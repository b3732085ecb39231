"""Examples for the documentation, made from the very types that handlers take and answer with."""

from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example


def example(value: object, *, name: str = "example", summary: str = "") -> Example:
    """An example of a body."""
    return Example(id=name, summary=summary or None, value=msgspec.to_builtins(value))


def answers(kind: Any, value: object, description: str) -> ResponseSpec:
    """The documentation of a success: its type, and one true answer."""
    return ResponseSpec(
        data_container=kind, generate_examples=False, description=description, examples=[example(value)]
    )
