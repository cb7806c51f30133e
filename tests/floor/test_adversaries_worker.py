"""An agent that attacks from inside its sandbox: through the tracker's door, the proxy, its files and processes. One
floor serves all attacks: the agent tells what came of each, and the test looks at what is left outside."""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeout.base.egress.request import parse_request
from tapeout.base.hosts import Endpoint, leads_astray
from tapeout.base.sandbox import Sandbox, detect
from tapeout.base.sandbox.surroundings import written
from tests.base.egress.test_gateway import GET, run, server
from tests.floor.conftest import CONFIG, Workbench

SANDBOX = detect()

needs_bubblewrap = pytest.mark.skipif(
    not (isinstance(SANDBOX, Sandbox) and SANDBOX.isolates_network), reason="bubblewrap does not work here"
)

ATTACKS = r"""
import json, os, socket, subprocess, sys, time
sys.stdin.readline()
own, state = os.environ["TAPEOUT_ISSUE"], os.environ["ATTACK_STATE"]
checkout, model, other = os.environ["TAPEOUT_REPOSITORY"], *os.environ["ATTACK_PORTS"].split("-")

def connected():
    channel = socket.socket(socket.AF_UNIX)
    folder = os.open(os.path.dirname(os.environ["TAPEOUT_DOOR"]), os.O_PATH)
    channel.connect(f"/proc/self/fd/{folder}/.tapeout")
    os.close(folder)
    return channel

def send(data):
    with connected() as channel:
        channel.settimeout(30)
        try:
            channel.sendall(data)
            channel.shutdown(socket.SHUT_WR)
        except OSError:  # it does not read all
            pass
        try:
            return b"".join(iter(lambda: channel.recv(65536), b"")).decode()
        except OSError as error:
            return type(error).__name__

def door(*words, folder=None, given=""):
    request = {"words": words, "folder": folder or os.getcwd(), "input": given}
    answer = send(json.dumps(request).encode())
    try:
        found = json.loads(answer)
    except ValueError:
        return [None, answer]
    if "refused" in found:
        return [5, found["refused"]["message"]]
    return [found["code"], found["output"] + found["errors"]]

def proxied(line, host="x"):
    with socket.create_connection(("127.0.0.1", int(os.environ["HTTP_PROXY"].rpartition(":")[2])), 20) as channel:
        channel.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return int((channel.recv(4096).decode() or "HTTP/1.1 0").split()[1])

def direct(family, address):
    with socket.socket(family) as channel:
        channel.settimeout(5)
        try:
            channel.connect(address)
            return "connected"
        except OSError as error:
            return "refused"

os.symlink(f"{checkout}/.env", "innocent.txt")
os.symlink(state, "folder")
os.mkfifo("pipe")
open("mine.txt", "w").write("mine")
found = {}
found["reads"] = [
    door("issue", "attach", own, f"{checkout}/.env"),
    door("issue", "attach", own, "innocent.txt", "--name", "x"),
    door("issue", "comment", own, f"@{state}/tracker.db"),
    door("issue", "comment", own, f"@{os.environ['ATTACK_TEMPORARY']}"),
    door("issue", "comment", own, "@/proc/self/environ"),
    door("issue", "new", "--file", f"{checkout}/.env"),
    door("issue", "new", "x", f"--body=@{checkout}/.env"),
    door("issue", "comment", own, "@.env", folder=checkout),
    door("issue", "comment", own, "@pipe"),
]
found["attached"] = door("issue", "attach", own, "mine.txt")[0]
found["writes"] = [
    door("issue", "attachment", own, "1", "-o", f"{state}/tracker.db", "--force"),
    door("issue", "attachment", own, "1", "-o", "folder/gate-cache.db"),
    door("issue", "attachment", own, "1", "-o", "innocent.txt/../../../x"),
    door("issue", "attachment", own, "1", "-o", f"{checkout}/made"),
]
found["written"] = door("issue", "attachment", own, "1", "-o", "copy.txt")[0], os.path.exists("copy.txt")
found["decides"] = [
    door("issue", "close", own), door("--json", "issue", "close", own), door("issue", "allow", own, "tests"),
    door("issue", "edit", own, "--scope", "**"), door("issue", "edit", "--query", "status:open", "--add-label", "x"),
    door("issue", "undo"), door("answer", "q", "allow"), door("--", "answer", "q", "allow"), door("kill", own),
    door("nudge", own, "hello"), door("-C", "/", "up"), door("up", "issue"), door("sync"),
    door("claim", own, "--as", "ada"), door("release", own, "--force"),
    door("doctor", "--rebuild"), door("mcp"), door("gate"), door("plan", "x"),
]
found["rubbish"] = [
    send(data)[:90] for data in (
        b"", b"{", b"[" * 100_000, b"\xff" * 100, b'{"words": ["\\ud800"], "folder": "/", "input": ""}',
        b'{"words": ["ready"], "folder": "\\u0000", "input": ""}',
        b'{"words": ["ready"], "folder": "\\ud800", "input": ""}',
        b"x" * 5_000_000,
    )
]
found["long"] = door("search", "x" * 200_000)[0]
many = []
for _ in range(200):
    try:
        many.append(connected())
    except OSError:
        pass
for one in many:
    one.close()
os.environ["TAPEOUT_ATTEMPT"] = "a-somebody"
for _ in range(100):  # those that were closed may not have been noticed yet
    found["after"] = door("issue", "comment", own, "said by me")
    if found["after"][0] is not None:
        break
    time.sleep(0.05)
found["proxy"] = {
    line: proxied(line) for line in (
        f"CONNECT 127.0.0.1:{other}", f"CONNECT localhost:{other}", f"CONNECT LOCALHOST.:{other}",
        f"CONNECT 127.1:{other}", f"CONNECT 2130706433:{other}", f"CONNECT 0x7f000001:{other}",
        f"CONNECT [::ffff:127.0.0.1]:{other}",
        f"CONNECT [::1]:{other}", f"CONNECT 0.0.0.0:{model}", "CONNECT 169.254.169.254:80", "CONNECT example.org:443",
        f"CONNECT 127.0.0.1:{model}@127.0.0.1:{other}", f"GET http://127.0.0.1:{model}@127.0.0.1:{other}/",
        f"GET http://127.0.0.1:{other}/", "GET /", "GET file:///etc/passwd",
    )
}
found["allowed"] = proxied(f"GET http://127.0.0.1:{model}/")
found["direct"] = [
    direct(socket.AF_INET, ("127.0.0.1", int(other))), direct(socket.AF_INET, ("169.254.169.254", 80)),
    direct(socket.AF_UNIX, "\0" + os.environ["ATTACK_ABSTRACT"]), direct(socket.AF_UNIX, "/run/docker.sock"),
    direct(socket.AF_UNIX, "/var/run/dbus/system_bus_socket"), direct(socket.AF_UNIX, "/tmp/.X11-unix/X0"),
]
def foreign():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            content = open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            continue
        if b"ATTACK_OUTSIDE" in content:
            yield f"{pid} {content[:200]}"
found["foreign"] = list(foreign())
pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
found["roots"] = [pid for pid in pids if os.path.exists(f"/proc/{pid}/root{state}/tracker.db")]
covers = " ".join((state, checkout, os.path.dirname(state)))
uncover = f"umount -l {covers}; cat {checkout}/.env; ls {state}/tracker.db"
done = subprocess.run(["unshare", "-Urm", "sh", "-c", uncover], capture_output=True, text=True)
found["uncovered"] = done.stdout
try:
    os.mknod("device", 0o20666, os.makedev(1, 1))
    found["device"] = "made"
except OSError:
    found["device"] = "refused"
os.unlink("innocent.txt")
os.unlink("folder")
os.makedirs("a" * 200 + "\n\x1b[31m")
os.truncate(os.open("sparse", os.O_CREAT | os.O_RDWR), 1 << 40)
open("result.json", "w").write(json.dumps(found))
"""

FLOOR = """
[agents.attacker]
driver = "command"
command = [{python}, "-c", {attacks}]
env = {{ {env} }}
[sandbox]
use = "required"
network = "list"
allow = ["127.0.0.1:{model}"]
[workspace]
overlay = "{overlay}"
"""


@contextlib.contextmanager
def abstract_socket() -> Iterator[str]:
    """A service of this machine that listens at an abstract address."""
    name = f"tapeout-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind("\0" + name)
        service.listen()
        yield name


@needs_bubblewrap
@pytest.mark.parametrize("overlay", ["never", "always"])
def test_an_agent_that_attacks_gets_nowhere(bench: Workbench, tmp_path: Path, overlay: str) -> None:
    temporary = tmp_path / "of-somebody"
    temporary.write_text("SECRET of somebody")
    with server() as model, server() as other, abstract_socket() as abstract:
        env = {
            "ATTACK_STATE": bench.paths.root, "ATTACK_PORTS": f"{model}-{other}", "ATTACK_ABSTRACT": abstract,
            "ATTACK_TEMPORARY": str(temporary),
        }  # fmt: skip
        listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in env.items())
        command = {"python": json.dumps(sys.executable), "attacks": json.dumps(ATTACKS)}
        text = FLOOR.format(**command, env=listed, model=model, overlay=overlay)
        bench.commit({"tapeout.toml": CONFIG + text, ".gitignore": ".env\n"}, "Configure")
        (bench.root / ".env").write_text("SECRET of the checkout")
        issue = bench.new("Attack", "", "--agent", "attacker", "--scope", "*")
        bench.up(ATTACK_OUTSIDE="1")
    found = json.loads(bench.git("show", "main:result.json"))

    for code, said in [*found["reads"], *found["writes"]]:
        assert code, said
        assert "SECRET" not in said
    assert found["attached"] == 0, "its own files it may use"
    if overlay == "never":
        assert found["written"] == [0, True]
    else:
        assert found["written"][0] != 0, "a layer is seen from outside, and not written"
    for code, said in found["decides"]:
        assert code, said
    *rubbish, huge = found["rubbish"]
    assert all("no request" in said for said in rubbish), rubbish
    assert "no request" in huge or huge in ("ConnectionResetError", ""), huge
    assert found["long"] != 0
    assert found["after"][0] == 0, found["after"]

    assert found["allowed"] == 200
    assert set(found["proxy"].values()) <= {400, 403}, found["proxy"]
    assert set(found["direct"]) == {"refused"}
    assert (found["foreign"], found["roots"], found["uncovered"], found["device"]) == ([], [], "", "refused")

    shown = bench.issue(issue)
    assert (shown["scope"], shown["labels"]) == (["*"], [])
    assert {one["actor"] for one in shown["comments"]} == {f"agent:{shown['attempts'][0]['id']}"}
    assert [one["name"] for one in bench.data("issue", "attachments", issue)] == ["mine.txt"]
    assert not (bench.root / "made").exists()
    for log in Path(bench.paths.logs).rglob("*"):
        assert "Traceback" not in log.read_text(errors="replace") if log.is_file() else True
    assert list(Path(bench.paths.workspaces).iterdir()) == []


def test_files_without_content_and_files_with_two_names_are_counted(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"empty-{number}").touch()
    assert written(str(tmp_path)) >= 50 * 512
    before = written(str(tmp_path))
    (tmp_path / "large").write_bytes(os.urandom(256 * 1024))
    os.link(tmp_path / "large", tmp_path / "also")
    assert 256 * 1024 <= written(str(tmp_path)) - before < 300 * 1024
    (tmp_path / "below").mkdir()
    os.rename(tmp_path / "also", tmp_path / "below/also")
    assert written(str(tmp_path / "below")) < 4096, "what is elsewhere too takes no room here"


@pytest.mark.parametrize(
    "target",
    ["a\0b.x.org:443", "..x.org:443", ".x.org:443", f"{'a' * 64}.x.org:443", "a%00.x.org:443", "a#.x.org:443",
     "a@b.x.org:443", "*.x.org:443", "\xe4.x.org:443", "[x.org]:443", "a/b.x.org:443"],
)  # fmt: skip
def test_what_cannot_be_the_name_of_a_host_is_not_looked_up(target: str) -> None:
    assert parse_request(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode("latin-1")) is None


def test_a_server_is_told_the_host_that_was_allowed() -> None:
    request = parse_request(b"GET http://u:p@allowed.org:81/a HTTP/1.1\r\nHost: hidden.org\r\nhOST: other.org\r\n\r\n")
    assert request is not None
    assert request.to == Endpoint("allowed.org", 81)
    assert request.head.split(b"\r\n")[1:-2] == [b"Host: allowed.org:81", b"Connection: close"]


@pytest.mark.parametrize(
    ("address", "astray"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", True),
     ("169.254.169.254", True), ("fe80::1%eth0", True), ("::", True), ("rubbish", True), ("10.0.0.1", False),
     ("93.184.216.34", False), ("2606:2800::1", False)],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_link_are_known(address: str, astray: bool) -> None:
    assert leads_astray(address) == astray


@needs_bubblewrap
def test_a_name_that_is_allowed_does_not_lead_to_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def rebound(host: str, *arguments: object, **more: object) -> object:
        return real("127.0.0.1" if host == "rebound.example" else host, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with server() as port:
        url = f"http://rebound.example:{port}/secret"
        done, _ = run(tmp_path, [f"rebound.example:{port}"], GET, url)
    assert done.output.startswith("502")
    assert "leads to this machine" in done.output
