"""A repository, configuration or agent that is not in order: one clear line, an exit code, and nothing lost."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes


def agent_config(program: str, **floor: object) -> str:
    """A configuration whose agent is a Python program."""
    limits = "\n".join(f"{key} = {json.dumps(value)}" for key, value in {"interruptions": 2, **floor}.items())
    text = CONFIG.replace('interruptions = 20\nstart_timeout = "20s"', limits).replace(
        'agent = "scripted"', 'agent = "odd"'
    )
    command = json.dumps([sys.executable, "-c", textwrap.dedent(program)])
    return f'{text}\n[agents.odd]\ndriver = "acp"\ncommand = {command}\n'


def test_not_a_git_repository(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapeout", "up"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 7
    assert "is not inside a git repository" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_repository(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "empty", dict(os.environ))
    bench.root.mkdir()
    bench.git("init", "-q")
    assert "no commit yet" in bench.run("up", code=7).stderr


def test_no_configuration(bench: Workbench) -> None:
    bench.git("rm", "-q", "tapeout.toml")
    bench.git("commit", "-q", "-m", "Remove")
    assert "tapeout init" in bench.run("up", code=7).stderr


def test_a_configuration_that_is_not_committed(bench: Workbench) -> None:
    bench.git("rm", "-q", "tapeout.toml")
    bench.git("commit", "-q", "-m", "Remove")
    (bench.root / "tapeout.toml").write_text(CONFIG)
    assert "commit the file" in bench.run("up", code=7).stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[floor\n", "line 1"),
        (CONFIG.replace("workers = 4", "workers = 0"), "tapeout.toml:7: floor.workers:"),
        (CONFIG.replace("workers = 4", "wokers = 4"), "tapeout.toml:7: floor.wokers: is not a known field"),
        (CONFIG.replace('\ntimeout = "20s"', '\ntimeout = "soon"'), "tapeout.toml:15: check.0.timeout:"),
        (CONFIG.replace('run = "test', '# run = "test'), "check.0: a custom check needs run, its command"),
        ('[project]\nbranch = "main"\n', "at least one [[check]] is required"),
    ],
)
def test_a_broken_configuration_is_named_by_line_and_field(bench: Workbench, text: str, says: str) -> None:
    bench.commit({"tapeout.toml": text})
    said = bench.run("up", code=2).stderr
    assert says in said
    assert len(said.splitlines()) == 1


def test_an_unknown_agent(bench: Workbench) -> None:
    said = bench.run("up", "--agent", "nobody", code=2).stderr
    assert "nobody" in said
    assert "codex" in said


def test_an_agent_that_is_not_installed(bench: Workbench) -> None:
    said = bench.run("up", "--agent", "vibe", code=7, PATH="/usr/bin:/bin").stderr
    assert "not installed" in said
    assert "mistral-vibe" in said


def test_an_issue_with_an_unknown_agent_needs_a_person_and_the_others_land(bench: Workbench) -> None:
    odd = bench.new("Odd", writes("odd.txt"), "--agent", "nobody")
    fine = bench.new("Fine", writes("fine.txt"))

    bench.up()

    assert bench.landings() == {fine: 1}
    assert "nobody" in bench.issue(odd)["needs_person"]


def test_a_second_floor_refuses_and_names_the_first(bench: Workbench) -> None:
    first = bench.start("up", "--plain")
    try:
        bench.run("issue", "list")
        assert bench_wait_running(bench, first)
        said = bench.run("up", code=8).stderr
        assert f"process {first.pid}" in said
    finally:
        bench.run("stop")
        assert first.wait(30) == 0
        first.communicate()


def bench_wait_running(bench: Workbench, floor: "subprocess.Popen[str]") -> bool:
    """Wait until a floor says that it runs; False if it has ended before anybody saw that."""
    from tapeout.floor.lock import current_floor
    from tapeout.tracker.doorbell import Doorbell

    with Doorbell(bench.paths.bells) as bell:
        while (holder := current_floor(bench.paths)) is None or not holder.workers:
            if floor.poll() is not None:
                return False
            bell.wait(0.05)
    return True


def test_a_dirty_repository_keeps_its_changes_and_gets_the_commits_later(bench: Workbench) -> None:
    issue = bench.new("Write a", writes("a.txt"))
    (bench.root / "README.md").write_text("mine\n")

    bench.up()

    assert bench.landings() == {issue: 1}
    assert (bench.root / "README.md").read_text() == "mine\n"
    assert not (bench.root / "a.txt").exists()
    assert "uncommitted changes" in bench.run("publish", code=5).stderr
    bench.git("checkout", "-q", "README.md")
    bench.run("publish")
    assert (bench.root / "a.txt").exists()


def test_the_end_of_a_run_says_what_was_not_published(bench: Workbench) -> None:
    bench.new("Write a", writes("a.txt"))
    (bench.root / "README.md").write_text("mine\n")
    assert "not published" in bench.up().stdout


def test_a_floor_whose_output_nobody_reads_goes_on(bench: Workbench) -> None:
    issue = bench.new("Write a", writes("a.txt"))
    reader, writer = os.pipe()
    os.close(reader)
    words = [*bench.command, "up", "--until-idle", "--plain"]
    try:
        done = subprocess.run(
            words, cwd=bench.root, env=bench.environment, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bench.landings() == {issue: 1}


def test_files_of_the_repository_are_never_imported(bench: Workbench, tmp_path: Path) -> None:
    canary = f"open({str(tmp_path / 'canary')!r}, 'w')\n"
    names = ("selectors", "socket", "pydantic", "tapeout", "json", "acp", "sitecustomize", "pygit2")
    bench.commit({f"{name}.py": canary for name in names})
    bench.command = [str(Path(sys.executable).with_name("tapeout"))]  # `-m` would run the repository's own tapeout.py
    issue = bench.new("Write a", writes("a.txt"))

    bench.up()

    assert bench.landings() == {issue: 1}
    assert not (tmp_path / "canary").exists()


def test_a_floor_that_cannot_start_in_the_background_says_why(bench: Workbench) -> None:
    assert "nobody" in bench.run("up", "--detach", "--workers", "2", "--agent", "nobody", code=7).stderr


def test_a_red_gate_run_tells_programs_why(bench: Workbench) -> None:
    bench.commit({"broken": "x"})
    error = bench.data("gate", "run", code=6)
    assert error["details"]["findings"][0]["check"] == "sound"


def test_a_detached_head_is_left_alone_while_the_branch_moves(bench: Workbench) -> None:
    bench.git("checkout", "-q", "--detach")
    here = bench.git("rev-parse", "HEAD")
    bench.new("Write a", writes("a.txt"))

    bench.up()

    assert bench.git("rev-parse", "HEAD") == here
    assert bench.git("show", "main:a.txt") == "done"


def test_commits_that_a_person_adds_meanwhile_are_kept(bench: Workbench) -> None:
    bench.new("One", writes("one.txt"))
    bench.up()
    bench.commit({"mine.txt": "mine\n"}, "My own work")
    bench.new("Two", writes("two.txt"))

    bench.up()

    assert {"one.txt", "two.txt", "mine.txt"} <= {path.name for path in bench.root.iterdir()}


def test_a_check_whose_tool_is_missing_stops_the_queue_and_blames_no_change(bench: Workbench) -> None:
    bench.commit({"tapeout.toml": CONFIG.replace("test ! -e broken && echo sound", "no-such-tool --all")})
    issue = bench.new("Write a", writes("a.txt"))

    said = bench.up(code=7).stderr

    assert "no-such-tool" in said
    shown = bench.issue(issue)
    assert shown["needs_person"] is None
    assert [change["state"] for change in shown["changes"]] == ["queued"]
    bench.commit({"tapeout.toml": CONFIG})
    bench.up()
    assert bench.landings() == {issue: 1}


AGENTS = {
    "rubbish": ("print('hello, I am no agent', flush=True)\nwhile True: print('x' * 1000, flush=True)", "x"),
    "exits": ("import sys; sys.stderr.write('no key found'); sys.exit(3)", "no key found"),
    "hangs": ("import time; time.sleep(600)", "1 s"),
    "floods": ("import sys\nwhile True: sys.stderr.write('e' * 65536)", "1 s"),
    "ignores": ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)", "1 s"),
}


@pytest.mark.parametrize("kind", sorted(AGENTS))
def test_an_agent_that_is_none_ends_with_a_person_and_no_process(bench: Workbench, kind: str) -> None:
    program, says = AGENTS[kind]
    bench.commit({"tapeout.toml": agent_config(program, start_timeout="1s")})
    issue = bench.new("Try", "Anything.")

    bench.up()

    shown = bench.issue(issue)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["interrupted", "interrupted"]
    assert says in shown["needs_person"]


def test_an_agent_that_hangs_in_its_turn_is_cut_off_and_its_work_is_kept(bench: Workbench) -> None:
    text = CONFIG.replace("interruptions = 20", 'interruptions = 1\nturn_timeout = "1s"')
    bench.commit({"tapeout.toml": text})
    issue = bench.new("Hang", script(turn(step(write="half.txt", text="half\n"), step(hang=True, deaf=True))))

    bench.up()

    attempt = bench.issue(issue)["attempts"][0]
    assert "longer than 1 s" in attempt["detail"]
    assert bench.hub[attempt["head"]].tree["half.txt"].data == b"half\n"  # type: ignore[union-attr]


def test_an_agent_that_leaves_daemons_leaves_none(bench: Workbench) -> None:
    daemons = [step(daemon="sleep 600"), step(run="setsid sleep 600 >/dev/null 2>&1 &")]
    issue = bench.new("Fork", script(turn(*daemons, step(write="a.txt", text="1"))))

    bench.up()

    assert bench.landings() == {issue: 1}  # the fixture proves that no process is left


def test_a_full_disk_says_so_and_loses_nothing(bench: Workbench, tmp_path: Path) -> None:
    """The state directory on a file system of 3 MB that is full."""
    state = tmp_path / "small"
    state.mkdir()
    inner = (
        "mount -t tmpfs -o size=3m tmpfs $STATE && "
        "$TAPEOUT issue new kept > /dev/null && (head -c 9000000 /dev/zero > $STATE/filler || true) 2>/dev/null; "
        'head -c 60000 /dev/urandom | base64 > $WORK/long; $TAPEOUT issue new lost --body @$WORK/long; echo "exit $?"; '
        "rm $STATE/filler; $TAPEOUT issue list"
    )
    environment = {
        **bench.environment,
        "STATE": str(state),
        "TAPEOUT_HOME": str(state),
        "WORK": str(tmp_path),
        "TAPEOUT": f"{sys.executable} -m tapeout",
    }
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inner],
        cwd=bench.root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert "exit 7" in done.stdout, done.stdout + done.stderr
    assert "free some space" in done.stderr
    assert "kept" in done.stdout
    assert "Traceback" not in done.stderr
