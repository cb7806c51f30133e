"""Any program as an agent: the prompt as an argument or as standard input, in a recorded terminal."""

import signal
import sys

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents import AgentError, AgentSpec, Notice, Prompt, Spent, Text, TurnEnded, Usage
from tapeout.agents.command import command_line
from tapeout.agents.session import ANSWER_TAIL

from .conftest import Bench, relaxed

pytestmark = pytest.mark.anyio


def command(*argv: str, **options: object) -> AgentSpec:
    return AgentSpec("tool", "command", argv, **options)  # type: ignore[arg-type]


async def test_the_prompt_takes_its_place_in_an_argument(bench: Bench) -> None:
    async with bench.open(command("printf", "<%s>", "say: {prompt}!", "{prompt}")) as session:
        result = await session.prompt("it's $(touch x) \n'two'")
    assert result.text == "<say: it's $(touch x) \n'two'!><it's $(touch x) \n'two'>"
    assert result.stop_reason == "end_turn"
    assert list(bench.folder.iterdir()) == []


async def test_without_a_place_the_prompt_is_standard_input(bench: Bench) -> None:
    prompt = "Fix it.\n" * 100_000
    async with bench.open(command("wc", "-c")) as session:
        assert (await session.prompt(prompt)).text.strip() == str(len(prompt))


async def test_it_works_in_the_folder_with_the_environment_and_a_terminal(bench: Bench) -> None:
    show = "pwd; echo $A $HOME; test -t 1 && test -t 2 && echo terminal; test -t 0 || echo no keyboard"
    async with bench.open(command("sh", "-c", show, env={"A": "1"})) as session:
        result = await session.prompt("")
    assert result.text == f"{bench.folder}\n1 {bench.env['HOME']}\nterminal\nno keyboard\n"
    assert "terminal\r\n" in bench.terminal.text


async def test_each_prompt_is_one_process_and_all_is_on_record(bench: Bench) -> None:
    async with bench.open(command("sh", "-c", "printf '\\033[1m%s\\033[0m' \"$1\"", "sh", "{prompt}")) as session:
        assert [(await session.prompt(text)).text for text in ("one", "two")] == ["one", "two"]
    # Each process starts with an empty context: the estimate is of its own prompt and output, 6 characters.
    turn = [Usage(1, 128_000, estimated=True)], [TurnEnded("end_turn")]
    entries = [entry for entry in bench.entries() if not isinstance(entry, Spent)]
    assert entries == [Prompt("one"), Text("one"), *turn[0], *turn[1], Prompt("two"), Text("two"), *turn[1]]
    assert "\x1b[1mtwo\x1b[0m" in bench.terminal.text


@pytest.mark.parametrize(
    ("end", "how"), [("exit 3", "tool ended with exit code 3"), ("kill -9 $$", "tool was killed by signal 9")]
)
async def test_failure_ends_the_turn_with_the_tail_of_the_output(bench: Bench, end: str, how: str) -> None:
    async with bench.open(command("sh", "-c", f"seq 100000; echo oops; {end}")) as session:
        result = await session.prompt("")
    assert result.stop_reason == "error"
    assert result.text.endswith("99999\n100000\noops\n")
    assert len(result.text) == ANSWER_TAIL
    assert bench.of(Notice) == [Notice(how)]


async def test_a_prompt_that_fits_in_no_argument_is_an_error_with_a_hint(bench: Bench) -> None:
    async with bench.open(command("echo", "{prompt}")) as session:
        with pytest.raises(AgentError, match="does not fit into an argument") as caught:
            await session.prompt("x" * 200_000)
        assert "standard input" in str(caught.value.hint)
        assert (await session.prompt("short")).text == "short\n"


STUBBORN = f"""
import signal, sys, time
if sys.argv[1] == "deaf": signal.signal(signal.{signal.SIGTERM.name}, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("manner", ["polite", "deaf"])
@pytest.mark.parametrize("gently", [True, False])
async def test_it_can_be_cancelled(bench: Bench, manner: str, gently: bool) -> None:
    spec = command(sys.executable, "-I", "-c", STUBBORN, manner)
    ready = anyio.Event()
    results = []

    class Listening:
        def write(self, data: bytes) -> None:
            if b"ready" in data:
                ready.set()

        def line(self, text: str) -> None: ...

    bench.terminal = Listening()  # type: ignore[assignment]
    async with bench.open(spec) as session, anyio.create_task_group() as group:

        async def turn() -> None:
            results.append((await session.prompt("")).stop_reason)

        group.start_soon(turn)
        await ready.wait()
        if gently:
            await session.cancel()
        else:
            group.cancel_scope.cancel()
    assert results == (["cancelled"] if gently else [])
    assert bench.entries()[-1] == TurnEnded("cancelled" if gently else "interrupted")


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@relaxed
@given(ANY_TEXT, st.lists(st.text() | st.just("-p={prompt}")))
def test_a_command_line_never_loses_the_prompt(prompt: str, arguments: list[str]) -> None:
    argv, stdin = command_line(["program", *arguments], prompt)
    assert argv[0] == "program"
    assert len(argv) == len(arguments) + 1
    assert not any("\0" in part for part in argv if part not in arguments)
    given = prompt.replace("\0", "").encode(errors="replace")
    if stdin is None:
        assert any(given in part.encode() for part in argv[1:])
    else:
        assert argv[1:] == arguments
        assert stdin == given
