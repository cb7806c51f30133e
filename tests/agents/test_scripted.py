"""Every kind of step, played by the real program through the ACP driver."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from tapeout.agents import AgentDied, AgentError, Notice, Permission, Text, ToolCall, Update, Usage
from tapeout.agents.scripted import PROGRAM
from tapeout.base.processes import end_descendants

from .conftest import Bench, fence, script

pytestmark = pytest.mark.anyio


async def play(bench: Bench, *steps: str) -> str:
    """Play the steps in one turn that ends well; what the agent said."""
    async with bench.scripted() as session:
        result = await session.prompt(script(*steps))
    assert result.stop_reason == "end_turn"
    return result.text


def last_states(bench: Bench) -> list[ToolCall]:
    return list({call.id: call for call in bench.of(ToolCall)}.values())


async def test_write_makes_the_file_and_its_folders(bench: Bench) -> None:
    await play(bench, "write = 'src/x.py'\ntext = '''\nprint(1)\n'''")
    assert (bench.folder / "src/x.py").read_text() == "print(1)\n"
    [call] = last_states(bench)
    assert (call.title, call.kind, call.status) == ("write src/x.py", "edit", "completed")


async def test_replace_changes_every_place_or_as_many_as_told(bench: Bench) -> None:
    (bench.folder / "a").write_bytes(b"x x\r\nx")
    (bench.folder / "b").write_text("x x x")
    await play(bench, "replace = 'a'\nold = 'x'\nnew = 'y'", "replace = 'b'\nold = 'x'\nnew = 'y'\ncount = 2")
    assert (bench.folder / "a").read_bytes() == b"y y\r\ny"
    assert (bench.folder / "b").read_text() == "y y x"


async def test_replace_of_absent_text_is_said_and_the_turn_goes_on(bench: Bench) -> None:
    (bench.folder / "a").write_text("x")
    said = await play(bench, "replace = 'a'\nold = 'z'\nnew = 'y'", "say = 'Next.'")
    assert said == "Cannot replace a: the old text is not in the file.\nNext.\n"
    assert [call.status for call in last_states(bench)] == ["failed"]


async def test_append_and_delete(bench: Bench) -> None:
    (bench.folder / "a").write_text("1\n")
    (bench.folder / "b").write_text("")
    await play(bench, "append = 'a'\ntext = '2'", "delete = 'b'")
    assert (bench.folder / "a").read_text() == "1\n2"
    assert not (bench.folder / "b").exists()


async def test_deleting_what_is_not_there_is_said(bench: Bench) -> None:
    assert "Cannot delete b:" in await play(bench, "delete = 'b'")


async def test_run_streams_the_output_and_reports_the_exit_code(bench: Bench) -> None:
    await play(bench, "run = 'pwd; echo oops >&2; exit 3'")
    [call] = last_states(bench)
    assert (call.status, call.kind) == ("failed", "execute")
    assert call.output == f"{bench.folder}\noops\nexit code 3\n"
    assert bench.of(ToolCall)[0].status == "in_progress"


async def test_run_does_not_wait_for_what_it_left_in_the_background(bench: Bench) -> None:
    await play(bench, "run = 'sleep 600 & echo started'")
    assert last_states(bench)[0].output == "started\nexit code 0\n"
    assert end_descendants(grace=0) == 1


async def test_a_tool_is_in_a_session_of_its_own(bench: Bench) -> None:
    await play(bench, "run = 'ps -o sid= -p $$; echo $$'")
    sid, pid, *_ = last_states(bench)[0].output.split()
    assert sid == pid


def git(bench: Bench, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=bench.folder, check=True, capture_output=True, text=True)
    return result.stdout


async def test_commit_commits_everything(bench: Bench) -> None:
    git(bench, "init", "-q")
    await play(bench, "write = 'a'\ntext = ''", "commit = 'Add $(touch b) a'", "commit = 'Nothing'")
    log = git(bench, "log", "--format=%s", "--name-only")
    assert log == "Add $(touch b) a\n\na\n"
    assert [call.status for call in last_states(bench)] == ["completed", "completed", "failed"]


async def test_say_and_sleep(bench: Bench) -> None:
    assert await play(bench, "say = 'One'", "sleep = 0.01", "say = '''Two\nthree'''") == "One\nTwo\nthree\n"


async def test_usage_reports_the_context(bench: Bench) -> None:
    async with bench.scripted() as session:
        result = await session.prompt(script("usage = 12000", "usage = 15000\nsize = 30000\ncost = 0.5"))
    assert bench.of(Usage) == [Usage(12000, 200_000), Usage(15000, 30000, 0.5)]
    assert result.usage == Usage(15000, 30000, 0.5)


@pytest.mark.parametrize(("permissions", "decision"), [("allow", "allow_always"), ("deny", "reject_once")])
async def test_ask_says_the_answer_that_the_policy_gives(bench: Bench, permissions: str, decision: str) -> None:
    async with bench.scripted(permissions=permissions) as session:
        result = await session.prompt(script("ask = 'Run rm -rf build?'"))
    assert result.text == f"Run rm -rf build? The answer: {decision}.\n"
    assert bench.of(Permission) == [
        Permission("Run rm -rf build?", ("allow_once", "allow_always", "reject_once"), decision)
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_crash_is_a_dead_agent(bench: Bench, number: signal.Signals) -> None:
    async with bench.scripted() as session:
        with pytest.raises(AgentDied, match=f"scripted was killed by {number.name}"):
            await session.prompt(script("say = 'Now.'", f"crash = {int(number)}"))
        assert bench.of(Text) == [Text("Now.\n")]
        with pytest.raises(AgentDied):
            await session.prompt("again")


async def test_exit_is_a_dead_agent_too(bench: Bench) -> None:
    async with bench.scripted() as session:
        with pytest.raises(AgentDied, match="scripted ended with exit code 4"):
            await session.prompt(script("exit = 4"))


async def when_said(bench: Bench, text: str) -> None:
    """Return when the agent or its tool has said it."""
    said = anyio.Event()

    def listen(update: Update) -> None:
        if text in getattr(update, "output", getattr(update, "text", "")):
            said.set()

    bench.listeners.append(listen)
    await said.wait()


@pytest.mark.parametrize("step", ["hang = true", "sleep = 600", "run = 'sleep 600'"])
async def test_cancel_ends_the_turn_and_the_session_goes_on(bench: Bench, step: str) -> None:
    async with bench.scripted() as session:
        results: list[str] = []

        async def turn() -> None:
            text = fence(f"[[turn]]\nstep = [{{say = 'Go.'}}, {{{step}}}]\n[[turn]]\nstep = [{{say = 'Two'}}]")
            results.append((await session.prompt(text)).stop_reason)

        async with anyio.create_task_group() as group:
            group.start_soon(turn)
            await when_said(bench, "Go.")
            await session.cancel()
        assert results == ["cancelled"]
        assert (await session.prompt("Go on.")).text == "Two\n"


async def test_a_cancelled_caller_leaves_at_once_and_the_agent_ends_its_tool(bench: Bench) -> None:
    async with bench.scripted() as session:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(session.prompt, script("run = 'echo Go.; sleep 600'"))
                await when_said(bench, "Go.")
                scope.cancel()
        assert scope.cancelled_caught  # and the fixture asserts that the agent has ended its tool
        with pytest.raises(AgentError, match="last turn has not ended"):
            await session.prompt("again")


async def test_a_deaf_agent_is_killed(bench: Bench) -> None:
    async with bench.scripted() as session:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(session.prompt, script("say = 'Go.'", "hang = true\ndeaf = true"))
                await when_said(bench, "Go.")
                scope.cancel()
    # the fixture asserts that it is gone


async def test_flood_of_standard_error_is_drained(bench: Bench) -> None:
    assert await play(bench, "flood = 1000000", "say = 'Done.'") == "Done.\n"


async def test_rubbish_among_the_messages_is_noted_and_passed_over(bench: Bench) -> None:
    assert await play(bench, "rubbish = 'log: hello'", "say = 'Done.'") == "Done.\n"
    assert bench.of(Notice) == [Notice('scripted printed a line that is no message: "log: hello"')]


async def test_daemon_outlives_the_session_until_descendants_are_ended(bench: Bench) -> None:
    await play(bench, "daemon = 'touch up; exec sleep 600'", "run = 'until test -e up; do sleep 0.01; done'")
    [daemon] = psutil.Process().children(recursive=True)
    assert daemon.environ()["TAPEOUT_ATTEMPT"] == "test"
    assert daemon.ppid() == os.getpid()
    assert end_descendants(grace=0) == 1


async def test_turns_go_with_the_prompts_and_the_last_repeats(bench: Bench) -> None:
    text = fence("[[turn]]\nstep = [{say = 'One'}]\n[[turn]]\nstep = [{say = 'Two'}]")
    async with bench.scripted() as session:
        said = [(await session.prompt(prompt)).text for prompt in (text, "go on", "go on", text)]
    assert said == ["One\n", "Two\n", "Two\n", "Two\n"]


@pytest.mark.parametrize(("number", "said"), [("1", ["a"]), ("2", ["c", "d"]), ("3", ["a"]), ("rubbish", ["a"])])
async def test_turns_of_a_session(bench: Bench, number: str, said: list[str]) -> None:
    text = fence(
        "[[turn]]\nstep = [{say = 'a'}]\n"
        "[[turn]]\nsession = 2\nstep = [{say = 'c'}]\n"
        "[[turn]]\nsession = 2\nstep = [{say = 'd'}]"
    )
    async with bench.scripted({"TAPEOUT_ATTEMPT_NUMBER": number}) as session:
        assert [(await session.prompt(text)).text.strip() for _ in said] == said


async def test_no_script_is_said(bench: Bench) -> None:
    async with bench.scripted() as session:
        result = await session.prompt("Fix the bug.")
    assert (result.stop_reason, "no tapeout-script" in result.text) == ("end_turn", True)


async def test_an_invalid_script_is_refused_with_its_line(bench: Bench) -> None:
    async with bench.scripted() as session:
        result = await session.prompt(script("say = 'One'", "shout = 'Two'"))
    assert result.stop_reason == "refusal"
    assert "line 4 (turn 1, step 2): needs exactly one action, has none, but shout" in result.text


async def test_a_missing_folder_does_not_end_the_program(bench: Bench) -> None:
    said = await play(bench, "run = 'rm -rf ../workspace'", "run = 'true'", "say = 'Done.'")
    assert "Cannot run" in said
    assert said.endswith("Done.\n")


def test_the_program_stands_alone(tmp_path: Path) -> None:
    """No module of Tapeout or of another package is imported."""
    code = f"""
import runpy, sys
sys.stdin.close()
try:
    sys.stdin = open('/dev/null')
    import importlib, os
    os._exit = lambda code: (_ for _ in ()).throw(SystemExit(code))
    runpy.run_path({PROGRAM!r}, run_name='__main__')
except SystemExit:
    pass
allowed = set(sys.stdlib_module_names) | {{'scripted', '__main__'}}
print(sorted({{name.partition('.')[0] for name in sys.modules}} - allowed))
"""
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
