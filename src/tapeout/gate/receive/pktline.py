"""git's packet lines: four hexadecimal digits of length, then so many bytes; `0000` ends a section. As a proc-receive
hook speaks it (`git help hooks`)."""

from collections.abc import Iterable
from typing import IO

FLUSH = b"0000"
MAX_PAYLOAD = 65_516


class BadPacketError(ValueError):
    """What came is no packet line."""


def packet(payload: bytes) -> bytes:
    """One packet.

    Raises:
        ValueError: it is too long for one.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes do not fit into one packet")
    return b"%04x%b" % (len(payload) + 4, payload)


def section(payloads: Iterable[bytes]) -> bytes:
    """Packets and the end of their section."""
    return b"".join(packet(payload) for payload in payloads) + FLUSH


def read_section(stream: IO[bytes]) -> list[bytes]:
    """The packets of one section, without the line break that may end each.

    Raises:
        BadPacketError: the stream ends, or holds something else.
    """
    found = []
    while (payload := _read_packet(stream)) is not None:
        found.append(payload.removesuffix(b"\n"))
    return found


def _read_packet(stream: IO[bytes]) -> bytes | None:
    head = stream.read(4)
    if len(head) != 4 or not all(digit in b"0123456789abcdefABCDEF" for digit in head):
        raise BadPacketError(f"no packet line begins with {head!r}")
    length = int(head, 16)
    if length == 0:
        return None
    if not 4 <= length <= MAX_PAYLOAD + 4:
        raise BadPacketError(f"no packet is {length} bytes long")
    payload = stream.read(length - 4)
    if len(payload) != length - 4:
        raise BadPacketError("the stream ends within a packet")
    return payload
