"""HTTP/1.1 as a client that measures needs it: requests encoded beforehand, answers read with little work.

One question at a time on a connection. A body is counted, and handed on only where somebody asks for it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

HEAD_BYTES_MAX: Final = 65_536
_NO_BODY: Final = frozenset({204, 304})
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_INTERIM_BELOW: Final = 200
_END_OF_HEAD: Final = b"\r\n\r\n"


class ProtocolError(Exception):
    """What came is not the answer to one question."""


class Answer(NamedTuple):
    """A whole answer; ``size`` is its body's, in bytes as they travelled (chunk framing apart)."""

    status: int
    size: int


def encode(
    method: str,
    path: str,
    *,
    host: str,
    token: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NONE,
) -> bytes:
    """A request, ready to be written."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + (body or b"")


class AnswerReader:
    """Reads the answers of one connection, one after the other."""

    def __init__(self) -> None:
        self.on_body: Callable[[bytes], object] | None = None
        """Gets the body piece by piece, as it comes."""
        self._pending = b""
        self._status = 0
        self._size = 0
        self._left = 0
        """Bytes to come of the body, or of the chunk and the line break after it."""
        self._chunked = False

    def feed(self, received: bytes) -> Answer | None:
        """The answer, if ``received`` ends it.

        Raises:
            ProtocolError: this is no answer, or more than one.
        """
        data = received
        if self._status == 0:
            data = self._pending + received
            end = data.find(_END_OF_HEAD)
            if end < 0:
                if len(data) > HEAD_BYTES_MAX:
                    raise ProtocolError("a head without an end")
                self._pending = data
                return None
            self._pending = b""
            self._begin(data[:end])
            data = data[end + len(_END_OF_HEAD) :]
            if self._status == 0:  # an interim answer: the real one follows
                return self.feed(data) if data else None
        ended = self._chunks(data) if self._chunked else self._sized(data)
        if not ended:
            return None
        answer = Answer(self._status, self._size)
        self._status = self._size = 0
        return answer

    def _begin(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit():
            raise ProtocolError(f"no status line: {head[:40]!r}")
        status = int(head[9:12])
        if status < _INTERIM_BELOW:
            return
        self._status, self._size, self._chunked, self._left = status, 0, False, 0
        if status in _NO_BODY:
            return
        head = head.lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            end = head.find(b"\r\n", at + 2)
            self._left = int(head[at + 17 : end if end >= 0 else None])
        elif b"\r\ntransfer-encoding: chunked" in head:
            self._chunked = True
        else:
            raise ProtocolError("a body of unknown length")

    def _sized(self, data: bytes) -> bool:
        if len(data) > self._left:
            raise ProtocolError("more bytes than were announced")
        self._take(data)
        self._left -= len(data)
        return self._left == 0

    def _chunks(self, received: bytes) -> bool:
        data = self._pending + received
        self._pending = b""
        while data:
            if self._left > 0:
                # Two of the bytes to come are the line break that ends the chunk.
                piece = data[: max(0, self._left - 2)]
                self._take(piece)
                taken = min(len(data), self._left)
                self._left -= taken
                data = data[taken:]
                continue
            end = data.find(b"\r\n")
            if end < 0:
                break
            try:
                size = int(data[:end].partition(b";")[0], 16)
            except ValueError as error:
                raise ProtocolError(f"no size of a chunk: {data[:end][:40]!r}") from error
            if size == 0:
                if len(data) < end + 4:
                    break
                if data[end:] != _END_OF_HEAD:
                    raise ProtocolError("trailers, or more than was announced")
                return True
            self._left = size + 2
            data = data[end + 2 :]
        self._pending = data
        return False

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self.on_body is not None and piece:
            self.on_body(piece)
