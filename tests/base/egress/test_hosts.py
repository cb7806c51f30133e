"""What an allow-list allows, and what a proxy is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.egress.request import parse_request, refusal
from tapeout.base.hosts import Endpoint, allow_list, named_by_urls

HOSTS = st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,3}", fullmatch=True)


def test_a_host_without_a_port_is_the_web() -> None:
    allowed = allow_list(["Example.org", "127.0.0.1:8080", "[::1]:5432"])
    assert allowed.allows(Endpoint("example.org", 443))
    assert allowed.allows(Endpoint("example.org", 80))
    assert not allowed.allows(Endpoint("example.org", 22))
    assert not allowed.allows(Endpoint("api.example.org", 443))
    assert not allowed.allows(Endpoint("127.0.0.1", 8081))
    assert allowed.here == (5432, 8080)


@given(HOSTS, HOSTS)
def test_a_star_is_all_below_and_nothing_else(domain: str, host: str) -> None:
    allowed = allow_list([f"*.{domain}"])
    assert allowed.allows(Endpoint(f"{host}.{domain}", 443))
    assert not allowed.allows(Endpoint(domain, 443))
    assert not allowed.allows(Endpoint(f"{host}x{domain}", 443))
    assert not allowed.allows(Endpoint(f"{domain}.evil.example", 443))


@pytest.mark.parametrize(
    "entry", ["", "*", "http://x.org", "a b", "x.org:0", "x.org:99999", "x.org/path", "*.*.org", "x:y", "*x.org"]
)
def test_what_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"should be a host|no such port"):
        allow_list([entry])


def test_variables_with_an_url_name_hosts() -> None:
    env = {"A_BASE_URL": "http://127.0.0.1:81/v1", "B": "https://Api.example.org", "C": "https://[::1]/", "D": "x.org"}
    assert named_by_urls({**env, "E": "http://x:notaport/"}) == ["127.0.0.1:81", "api.example.org:443", "[::1]:443"]
    allow_list(named_by_urls(env))


def test_a_tunnel_and_a_forwarded_request() -> None:
    tunnel = parse_request(b"CONNECT Api.Example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert tunnel is not None
    assert (tunnel.to, tunnel.head) == (Endpoint("api.example.org", 443), b"")
    forwarded = parse_request(
        b"GET http://x.org:81/a?b=c HTTP/1.1\r\nHost: x.org\r\nProxy-Connection: keep-alive\r\nconnection: x\r\n\r\n"
    )
    assert forwarded is not None
    assert forwarded.to == Endpoint("x.org", 81)
    assert forwarded.head == b"GET /a?b=c HTTP/1.1\r\nHost: x.org:81\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"", b"GET / HTTP/1.1", b"CONNECT x.org HTTP/1.1", b"CONNECT x.org:0 HTTP/1.1", b"GET ftp://x/ HTTP/1.1",
        b"GET http://x.org:y/ HTTP/1.1", b"GET http:/// HTTP/1.1", b"CONNECT x:443 SMTP", b"\xff\xfe\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_to_a_proxy(head: bytes) -> None:
    assert parse_request(head + b"\r\n\r\n") is None


@given(st.binary(max_size=200))
def test_no_head_raises(head: bytes) -> None:
    parse_request(head)


def test_a_refusal_is_whole() -> None:
    head, _, body = refusal("403 Forbidden", "no").partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
