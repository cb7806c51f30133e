"""Which hosts a program may reach: the allow-list of a network policy. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

WEB_PORTS = (80, 443)

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]")
_PAIR = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Endpoint(NamedTuple):
    """A host and a port."""

    host: str
    """Lower case, without brackets and final dot."""
    port: int

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's own."""
        return self.host in _LOOPBACK


def parse_endpoint(text: str) -> Endpoint | None:
    """The endpoint that `HOST:PORT` names; None if it names none."""
    found = _PAIR.fullmatch(text.strip())
    if found is None or found["port"] is None or not _HOST.fullmatch(found["host"]):
        return None
    port = int(found["port"])
    return Endpoint(_plain(found["host"]), port) if 0 < port < 65536 else None


@dataclass(frozen=True)
class AllowList:
    """Hosts that may be reached. `*.example.org` is all below example.org, and not example.org itself."""

    rules: frozenset[Endpoint]

    def allows(self, wanted: Endpoint) -> bool:
        """Whether an endpoint may be reached."""
        return any(rule.port == wanted.port and _fits(rule.host, wanted.host) for rule in self.rules)

    @property
    def here(self) -> tuple[int, ...]:
        """Ports of this machine that may be reached, sorted."""
        return tuple(sorted({rule.port for rule in self.rules if rule.is_here}))


def allow_list(entries: Iterable[str]) -> AllowList:
    """The list that these entries make, each `HOST` (ports 80 and 443) or `HOST:PORT`.

    Raises:
        ValueError: one of them names no host; says which.
    """
    rules: set[Endpoint] = set()
    for entry in entries:
        found = _PAIR.fullmatch(entry.strip())
        if found is None or not (found["host"].startswith("[") or _NAME.fullmatch(found["host"])):
            raise ValueError(f"{entry!r} should be a host, such as example.org, *.example.org or 127.0.0.1:8080")
        ports = WEB_PORTS if found["port"] is None else (int(found["port"]),)
        if not all(0 < port < 65536 for port in ports):
            raise ValueError(f"{entry!r}: there is no such port")
        rules.update(Endpoint(_plain(found["host"]), port) for port in ports)
    return AllowList(frozenset(rules))


def named_by_urls(env: Mapping[str, str]) -> list[str]:
    """The endpoints, as entries of an allow-list, that variables with a URL as value name: `ANTHROPIC_BASE_URL`."""
    found = []
    for value in env.values():
        if value.startswith(("http://", "https://")):
            try:
                parts = urlsplit(value)
                host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
            except ValueError:
                continue
            if host:
                found.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return found


def leads_astray(address: str) -> bool:
    """Whether a numeric address belongs to this machine or its link: whoever answers for a name can give any, and the
    services there (databases of developers, the metadata of clouds at 169.254.169.254) trust who reaches them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    mapped = getattr(found, "ipv4_mapped", None) or found
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast


def is_address(host: str) -> bool:
    """Whether a host is given by its numeric address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _fits(rule: str, host: str) -> bool:
    return host.endswith(rule[1:]) if rule.startswith("*.") else host == rule


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
