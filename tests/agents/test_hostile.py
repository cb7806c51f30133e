"""Agents that misbehave: each ends as an error with one line, soon, and leaves nothing behind."""

import json
from typing import Any

import anyio
import psutil
import pytest

from tapeout.agents import (
    AgentDied,
    AgentError,
    AgentNotInstalled,
    AgentProtocolError,
    AgentSpec,
    AgentTimeout,
    Failure,
    Notice,
    Permission,
    Prompt,
    Text,
    TurnEnded,
    Update,
)
from tapeout.agents.session import ANSWER_TAIL
from tapeout.base.errors import Conflict, EnvironmentProblem
from tests.support.processes import words_of

from .conftest import Bench

pytestmark = pytest.mark.anyio

PRELUDE = """
import json, os, signal, subprocess, sys, time

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def say(text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    send(method="session/update", params={"sessionId": "s", "update": update})

def read():
    line = sys.stdin.readline()
    return json.loads(line) if line else sys.exit(0)
"""

SERVE = """
SESSION = {"sessionId": "s"}
def serve(prompt, session=SESSION):
    while True:
        message = read()
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            send(id=number, result={"protocolVersion": 1})
        elif method == "session/new":
            send(id=number, result=session)
        elif method == "session/prompt":
            prompt(number)
        elif method == "session/set_mode":
            say("mode " + message["params"]["modeId"])
            send(id=number, result={})
"""


def agent(prompt: str, session: dict[str, Any] | None = None) -> str:
    """An agent that plays by the rules until the first prompt; then it does this."""
    body = "\n".join(f"    {line}" for line in prompt.splitlines())
    return f"{PRELUDE}{SERVE}\ndef prompt(number):\n{body}\n\nserve(prompt, {session or {'sessionId': 's'}!r})\n"


async def fails_to_start(bench: Bench, source: str, error: type[AgentError], **options: Any) -> AgentError:
    spec = bench.program(PRELUDE + source)
    with pytest.raises(error) as caught:
        async with bench.open(spec, **options):
            pytest.fail("it started")
    assert type(caught.value) is error
    assert "\n" not in caught.value.message
    assert bench.entries()[-1] == Failure(caught.value.message)
    return caught.value


async def fails_to_answer(bench: Bench, prompt: str, error: type[AgentError]) -> AgentError:
    async with bench.open(bench.program(agent(prompt))) as session:
        with pytest.raises(error) as caught:
            await session.prompt("Work.")
    assert type(caught.value) is error
    assert "\n" not in caught.value.message
    return caught.value


# Starting


@pytest.mark.parametrize("command", ["no-such-agent", "./no-such-agent", "/no/such/agent"])
@pytest.mark.parametrize("driver", ["acp", "command"])
async def test_a_missing_program_says_how_to_install_it(bench: Bench, command: str, driver: Any) -> None:
    spec = AgentSpec("coder", driver, (command,), install="npm install -g coder")
    with pytest.raises(AgentNotInstalled, match="coder is not installed") as caught:
        async with bench.open(spec):
            pytest.fail("it started")
    assert caught.value.hint == "install it: npm install -g coder"
    assert isinstance(caught.value, EnvironmentProblem)


async def test_a_program_of_the_workspace_is_not_found_through_a_relative_path(bench: Bench) -> None:
    program = bench.folder / "coder"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    bench.env["PATH"] = f".::{bench.env['PATH']}"
    with pytest.raises(AgentNotInstalled):
        async with bench.open(AgentSpec("coder", "acp", ("coder",))):
            pytest.fail("it started")


async def test_it_exits_at_once_with_a_message(bench: Bench) -> None:
    source = "print('first', file=sys.stderr)\nprint('no \\x1b[31mlicence', file=sys.stderr)\nsys.exit(3)"
    error = await fails_to_start(bench, source, AgentDied)
    assert error.message == "custom ended with exit code 3: first | no licence"


async def test_it_prints_rubbish_and_exits(bench: Bench) -> None:
    error = await fails_to_start(bench, "print('Welcome to \\x1b[1mCoder!\\nHello')", AgentProtocolError)
    printed = 'it printed "Welcome to Coder!\\nHello" and ended with exit code 0'
    assert error.message == f"custom does not speak ACP: {printed}"


@pytest.mark.parametrize("line", ["'# ' * 10", "'[1]'", "'null'", "'{}'", "'[' * 100000", "'\\udcff'"])
async def test_it_prints_rubbish_without_end(bench: Bench, line: str) -> None:
    source = f"sys.stdout.reconfigure(errors='surrogateescape')\nwhile True: print({line}, flush=True)"
    error = await fails_to_start(bench, source, AgentProtocolError)
    assert error.message.startswith("custom does not speak ACP on its standard output: it printed ")
    assert len(error.message) < 500


async def test_it_prints_one_endless_line(bench: Bench) -> None:
    error = await fails_to_start(bench, "while True: sys.stdout.write('x' * 65536)", AgentProtocolError)
    assert "printed a line of more than" in error.message


async def test_it_hangs_at_the_start(bench: Bench) -> None:
    source = "print('waiting for login', file=sys.stderr, flush=True)\ntime.sleep(600)"
    error = await fails_to_start(bench, source, AgentTimeout, start_timeout=2)
    assert error.message == "custom did not start a session within 2 s: waiting for login"


async def test_it_closes_its_output_and_lives_on(bench: Bench) -> None:
    error = await fails_to_start(bench, "os.close(1)\ntime.sleep(600)", AgentProtocolError)
    assert error.message == "custom closed its standard output"


async def test_it_closes_its_input(bench: Bench) -> None:
    await fails_to_start(bench, "os.close(0)\nos.close(1)", AgentDied)


async def test_it_answers_with_something_else(bench: Bench) -> None:
    source = "send(id=read()['id'], result={'protocolVersion': 'one'})\ntime.sleep(600)"
    error = await fails_to_start(bench, source, AgentProtocolError)
    assert error.message.startswith("custom answered initialize with something else: ")


async def test_it_wants_a_login(bench: Bench) -> None:
    source = (
        "send(id=read()['id'], result={'protocolVersion': 1})\n"
        "send(id=read()['id'], error={'code': -32000, 'message': 'Authentication required'})\nread()"
    )
    error = await fails_to_start(bench, source, AgentError)
    assert error.message == "custom answered session/new with an error: Authentication required"
    assert error.hint is not None
    assert "pass_env" in error.hint


# Working


async def test_it_floods_standard_error(bench: Bench) -> None:
    source = agent("os.write(2, b'x' * 1_000_000)\nsay('Done.')\nsend(id=number, result={'stopReason': 'end_turn'})")
    async with bench.open(bench.program(source)) as session:
        assert (await session.prompt("Work.")).text == "Done."


async def test_it_dies_in_the_middle_of_a_prompt(bench: Bench) -> None:
    error = await fails_to_answer(bench, "say('Half')\nos.kill(os.getpid(), signal.SIGKILL)", AgentDied)
    assert error.message == "custom was killed by SIGKILL"
    assert bench.entries() == [Prompt("Work."), Text("Half"), Failure("custom was killed by SIGKILL")]


async def test_it_dies_while_its_tool_holds_its_pipes(bench: Bench) -> None:
    prompt = "subprocess.Popen(['sleep', '600'], start_new_session=True)\nos._exit(1)"
    error = await fails_to_answer(bench, prompt, AgentDied)
    assert error.message == "custom ended with exit code 1"
    [tool] = [child for child in psutil.Process().children() if words_of(child) == ["sleep", "600"]]
    tool.kill()


async def test_it_answers_with_an_error(bench: Bench) -> None:
    prompt = "send(id=number, error={'code': -32603, 'message': 'Internal', 'data': {'details': 'HTTP 400\\nno'}})"
    error = await fails_to_answer(bench, prompt, AgentError)
    assert error.message == "custom answered session/prompt with an error: Internal (HTTP 400 no)"


async def test_it_ends_for_a_reason_of_its_own(bench: Bench) -> None:
    await fails_to_answer(bench, "send(id=number, result={'stopReason': 'bored'})", AgentProtocolError)


async def test_it_ignores_cancel_and_the_end(bench: Bench) -> None:
    prompt = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('Go.')\nwhile True: time.sleep(600)"
    started = anyio.Event()
    bench.listeners.append(lambda _: started.set())
    async with bench.open(bench.program(agent(prompt))) as session:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(session.prompt, "Work.")
                await started.wait()
                scope.cancel()
        assert scope.cancelled_caught
    assert bench.entries()[-1] == TurnEnded("interrupted")


async def test_it_does_not_read_a_large_prompt(bench: Bench) -> None:
    answers = "for result in {'protocolVersion': 1}, {'sessionId': 's'}: send(id=read()['id'], result=result)"
    source = f"{PRELUDE}{answers}\ntime.sleep(600)"
    async with bench.open(bench.program(source)) as session:
        with anyio.move_on_after(0.2) as scope:
            await session.prompt("x" * 1_000_000)
        assert scope.cancelled_caught


async def test_nothing_is_left_when_the_caller_fails(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        async with bench.open(bench.program(agent("pass"))):
            raise ZeroDivisionError


async def test_an_error_of_the_listener_reaches_the_caller(bench: Bench) -> None:
    def lost(_: Update) -> None:
        raise Conflict("the lease is lost")

    bench.listeners.append(lost)
    async with bench.open(bench.program(agent("say('Hello')"))) as session:
        with pytest.raises(Conflict, match="the lease is lost"):
            await session.prompt("Work.")


async def test_updates_keep_their_order_and_come_before_the_answer(bench: Bench) -> None:
    prompt = "for i in range(5000): say(f'{i} ')\nsend(id=number, result={'stopReason': 'end_turn'})"
    heard: list[str] = []
    bench.listeners.append(lambda update: heard.append(update.text) if isinstance(update, Text) else None)
    async with bench.open(bench.program(agent(prompt))) as session:
        result = await session.prompt("Count.")
        assert result.text.endswith("4998 4999 ")
        assert len(result.text) == ANSWER_TAIL
    assert heard[:5000] == [f"{i} " for i in range(5000)]


# Asking


ASK = """
options = {options}
send(id="q", method="session/request_permission", params={{"sessionId": "s", "options": [
    {{"optionId": "id-" + kind, "name": kind, "kind": kind}} for kind in options],
    "toolCall": {{"toolCallId": "c", "title": "rm"}}}})
say(json.dumps(read()["result"]["outcome"], sort_keys=True))
send(id=number, result={{"stopReason": "end_turn"}})
"""


@pytest.mark.parametrize(
    ("permissions", "options", "kind"),
    [
        ("allow", ["reject_once", "allow_once", "allow_always"], "allow_always"),
        ("allow", ["reject_once", "allow_once"], "allow_once"),
        ("allow", ["reject_once"], None),
        ("deny", ["allow_once", "reject_always", "reject_once"], "reject_once"),
        ("deny", ["allow_once", "reject_always"], "reject_always"),
        ("deny", ["allow_once"], None),
        ("deny", [], None),
    ],
)
async def test_permissions_are_answered_by_policy(
    bench: Bench, permissions: str, options: list[str], kind: str | None
) -> None:
    spec = bench.program(agent(ASK.format(options=options)))
    async with bench.open(spec, permissions=permissions) as session:
        outcome = json.loads((await session.prompt("Work.")).text)
    expected = {"outcome": "selected", "optionId": f"id-{kind}"} if kind else {"outcome": "cancelled"}
    assert outcome == expected
    assert bench.of(Permission) == [Permission("rm", tuple(options), kind or "cancelled")]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("fs/read_text_file", {"sessionId": "s", "path": "/etc/passwd"}),
        ("fs/write_text_file", {"sessionId": "s", "path": "/tmp/x", "content": ""}),
        ("terminal/create", {"sessionId": "s", "command": "touch ran"}),
        ("no/such", {}),
        ("session/request_permission", {"rubbish": True}),
    ],
)
async def test_it_gets_no_files_and_no_terminal_of_ours(bench: Bench, method: str, params: dict[str, Any]) -> None:
    prompt = (
        f"send(id='q', method={method!r}, params={params!r})\nsay(json.dumps(read().get('result')))\n"
        "send(id=number, result={'stopReason': 'end_turn'})"
    )
    async with bench.open(bench.program(agent(prompt))) as session:
        assert (await session.prompt("Work.")).text == "null"


# Modes


def modes(*names: str) -> dict[str, Any]:
    offered = [{"id": name, "name": name} for name in names]
    return {"sessionId": "s", "modes": {"currentModeId": names[0], "availableModes": offered}}


@pytest.mark.parametrize(
    ("session", "mode", "fallback", "heard"),
    [
        (modes("auto", "full"), "full", (), [Text("mode full")]),
        (modes("auto", "full"), "best", ("full",), [Text("mode full")]),
        (modes("auto", "full"), None, (), []),
        (modes("auto", "full"), "auto", (), []),
        (
            modes("auto", "full"),
            "best",
            (),
            [Notice("the agent does not offer mode best (it offers auto, full); it stays in auto")],
        ),
        (
            {"sessionId": "s"},
            "best",
            (),
            [Notice("the agent does not offer mode best (it offers no modes); it keeps its own way")],
        ),
    ],
)
async def test_the_mode_is_set_if_the_agent_offers_it(
    bench: Bench, session: dict[str, Any], mode: str | None, fallback: tuple[str, ...], heard: list[Update]
) -> None:
    spec = bench.program(agent("pass", session), mode=mode, fallback_modes=fallback)
    async with bench.open(spec):
        assert bench.updates == heard
