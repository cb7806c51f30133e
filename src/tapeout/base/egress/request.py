"""What a client asks of an HTTP proxy, and the answers to it (RFC 9110, 9112). Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from tapeout.base.hosts import Endpoint, parse_endpoint

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's head."""

_HOP_BY_HOP = (b"connection:", b"proxy-connection:", b"proxy-authorization:", b"keep-alive:")


@dataclass(frozen=True)
class Request:
    """Where a client wants to go."""

    to: Endpoint
    head: bytes
    """What the other side is told; empty for a tunnel (`CONNECT`)."""


def parse_request(head: bytes) -> Request | None:
    """The request with this head, up to and with the empty line; None if it is none that a proxy gets.

    Only one request a connection is passed on, for the next one may want to go elsewhere.
    """
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    method, target, version = words
    if method == "CONNECT":
        endpoint = parse_endpoint(target)
        return Request(endpoint, b"") if endpoint is not None else None
    return _forwarded(method, target, version, fields)


def _forwarded(method: str, target: str, version: str, fields: list[bytes]) -> Request | None:
    try:
        parts = urlsplit(target)
        port = parts.port or 80
    except ValueError:
        return None
    name = parts.hostname or ""
    to = parse_endpoint(f"[{name}]:{port}" if ":" in name else f"{name}:{port}")
    if parts.scheme != "http" or to is None:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [field for field in fields if not field.lower().startswith((*_HOP_BY_HOP, b"host:"))]
    # RFC 9112, 3.2.2: a server that several hosts share is told the one that was allowed, whatever the client says.
    host = f"Host: {parts.netloc.rpartition('@')[2]}"
    lines = [f"{method} {path} {version}".encode("latin-1"), host.encode("latin-1", "replace"), *kept]
    return Request(to, b"\r\n".join([*lines, b"Connection: close", b"", b""]))


TUNNEL_OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


def refusal(status: str, reason: str) -> bytes:
    """An answer that says why not, such as `refusal("403 Forbidden", ...)`."""
    body = f"tapeout: {reason}\n".encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
