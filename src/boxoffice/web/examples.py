"""Examples for the documentation, made from the very types that handlers take and answer with."""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

# One story runs through all examples: this caller books these seats of this show, and pays. Theatres, films and
# shows tell theirs with the same ids.
USER_ID: Final = UUID("7b0c4c1e-58f5-4d0a-9a54-2f6d6a3c1f10")
SHOW_ID: Final = UUID("9a6e1d7c-2b54-4e0f-8d3b-1c7e5f2a4001")
MOVIE_ID: Final = UUID("0d9f2f0e-3f0b-4f7e-9a52-52a1d1c0a001")
THEATRE_ID: Final = UUID("2c1b7a34-6d0e-4a41-8c39-9f1f0b6c2001")
SCREEN_ID: Final = UUID("5e8d4b90-0b7c-4a55-b1a4-7d3f5c9e3001")
SEAT_A1: Final = UUID("6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5001")
SEAT_A2: Final = UUID("6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5002")
SEAT_B1: Final = UUID("6b1f0c52-8d4e-4f3a-9c77-3e2d1a0b5004")
BOOKING_ID: Final = UUID("4f2d8e61-7c3b-4b9a-a1d5-8e6f0c9b6001")
PAYMENT_ID: Final = UUID("c3a9b5d7-1e2f-4c6d-b8a0-5d4e3f2a7001")
REFUND_ID: Final = UUID("e7d1c2b3-9f8e-4a5b-8c6d-7b6a5f4e8001")
SESSION_ID: Final = "sess_Zk8T3vQ1mX5rB7nY2cL9dW4h"


def example(value: object, *, name: str = "example", summary: str = "") -> Example:
    """An example of a body."""
    return Example(id=name, summary=summary or None, value=msgspec.to_builtins(value))


def answers(kind: Any, value: object, description: str) -> ResponseSpec:
    """The documentation of a success: its type, and one true answer."""
    return ResponseSpec(
        data_container=kind, generate_examples=False, description=description, examples=[example(value)]
    )
