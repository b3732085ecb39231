"""Connections to the server: a protocol each, no task, no stream, no framework."""

import asyncio
import socket
import time
from itertools import islice
from typing import Final, cast

from benchmarks.http1 import AnswerReader, ProtocolError
from benchmarks.plans import Plan
from benchmarks.scripts import Got, Script
from benchmarks.tally import Tally

CONNECTING_MAX: Final = 100
"""Connections that are being opened at once."""


async def connect(plan: Plan, tally: Tally, many: int) -> list["Connection"]:
    """So many open connections."""
    lines = [Connection(tally) for _ in range(many)]
    waiting = iter(lines)
    while batch := list(islice(waiting, CONNECTING_MAX)):
        await asyncio.gather(*(line.open(plan.host, plan.port) for line in batch))
    return lines


class Connection(asyncio.Protocol):
    """One connection, which asks what its script says, one question after the other."""

    def __init__(self, tally: Tally) -> None:
        self.last_answer = 0.0
        self._tally = tally
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._script: Script | None = None
        self._done: asyncio.Future[None] | None = None
        self._deadline = float("inf")
        self._operation = ""
        self._body: list[bytes] = []
        self._asked_at = 0.0

    async def open(self, host: str, port: int) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    @property
    def is_open(self) -> bool:
        """Whether something can be asked on it."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Let the connection go."""
        if self._transport is not None:
            self._transport.abort()

    def start(self, script: Script, deadline: float = float("inf")) -> "asyncio.Future[None]":
        """Ask what the script says, and begin nothing after ``deadline`` (of `time.perf_counter`)."""
        self._script, self._deadline = script, deadline
        self._done = asyncio.get_running_loop().create_future()
        if not self.is_open:
            self._fail("connection lost while waiting")
        else:
            self._go_on(None)
        return self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Read; at the end of an answer, ask on."""
        try:
            answer = self._reader.feed(data)
        except ProtocolError as error:
            self._fail(str(error))
            return
        if answer is None:
            return
        now = self.last_answer = time.perf_counter()
        self._tally.add(self._operation, answer.status, now - self._asked_at)
        self._go_on(Got(answer.status, b"".join(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server ends while it owes an answer is a failure."""
        if self._done is not None and not self._done.done():
            self._fail(f"connection lost ({type(exc).__name__})")

    def _go_on(self, got: Got | None) -> None:
        script, transport, done = self._script, self._transport, self._done
        if script is None or transport is None or done is None:
            return
        try:
            ask = next(script) if got is None else script.send(got)
        except StopIteration:
            done.set_result(None)
            return
        now = time.perf_counter()
        if ask.begins and now >= self._deadline:
            script.close()
            done.set_result(None)
            return
        if self._body:
            self._body = []
        self._reader.on_body = self._body.append if ask.wants_body else None
        self._operation, self._asked_at = ask.operation, now
        transport.write(ask.data)

    def _fail(self, why: str) -> None:
        self._tally.failures[why] += 1
        self.close()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
