"""Processes are found and ended however they hide, and nobody's exit code is lost."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tapeout.base import processes
from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.ids import new_id

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")

DAEMON = "(setsid sh -c 'echo $$ > {file}; exec sleep 1000' &)"
"""A double fork into a session of its own; only its environment tells whose it is."""

SCRUBBED = "(setsid env -i /bin/sh -c 'echo $$ > {file}; exec sleep 1000' &)"
"""The same without even that."""

WAIT = "while [ ! -s {file} ]; do sleep 0.01; done"


def _running() -> set[int]:
    found = psutil.Process().children(recursive=True)
    return {process.pid for process in found if process.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = _running()
    yield
    left = _running() - before
    processes.end_descendants(0, keep=before)
    assert not left, "the test left processes behind"


def _daemon(kind: str, file: Path) -> str:
    return f"{kind.format(file=file)}; {WAIT.format(file=file)}"


def _gone(file: Path) -> bool:
    return not psutil.pid_exists(int(file.read_text()))


def _run(script: str, timeout: float = 30.0, keep: int = 262_144) -> processes.Captured:
    return processes.run_captured(["sh", "-c", script], cwd="/", env=dict(os.environ), timeout=timeout, keep=keep)


class TestRunCaptured:
    def test_output_and_exit_code(self) -> None:
        done = _run("echo out; echo err >&2; exit 3")
        assert (done.exit_code, done.output, done.timed_out, done.leftovers) == (3, "out\nerr\n", False, 0)

    def test_signal_is_a_negative_code(self) -> None:
        assert _run("kill -9 $$").exit_code == -9

    def test_has_no_input(self) -> None:
        assert _run("cat; echo end").output == "end\n"

    def test_long_output_keeps_head_and_tail(self) -> None:
        done = _run("echo first; yes | head -c 3000000; echo last", keep=1000)
        assert done.output.startswith("first\n")
        assert done.output.endswith("last\n")
        assert f"{done.cut_bytes} bytes" in done.output
        assert done.cut_bytes == 6 + 3_000_000 + 5 - 1000

    def test_output_within_the_limit_is_whole(self) -> None:
        done = _run("head -c 1000 /dev/zero | tr '\\0' x", keep=1000)
        assert (done.output, done.cut_bytes) == ("x" * 1000, 0)

    def test_bad_utf8_is_replaced(self) -> None:
        assert _run("printf '\\377ok'").output == "�ok"

    @linux_only
    @pytest.mark.parametrize("kind", [DAEMON, SCRUBBED])
    def test_daemons_are_ended_and_do_not_hold_the_output(self, tmp_path: Path, kind: str) -> None:
        done = _run(_daemon(kind, tmp_path / "pid") + "; echo end")
        assert (done.exit_code, done.output, done.leftovers) == (0, "end\n", 1)
        assert _gone(tmp_path / "pid")

    @linux_only
    def test_timeout_ends_the_whole_tree(self, tmp_path: Path) -> None:
        done = _run(f"trap '' TERM; {_daemon(SCRUBBED, tmp_path / 'pid')}; echo so far; sleep 1000", timeout=0.7)
        assert (done.exit_code, done.timed_out, done.output) == (None, True, "so far\n")
        assert done.leftovers == 2
        assert _gone(tmp_path / "pid")

    def test_other_children_are_left_alone(self) -> None:
        own = processes.start(["sleep", "1000"], cwd="/", env=dict(os.environ))
        plain = subprocess.Popen(["sh", "-c", "exit 7"])
        try:
            _run("true")
            assert own.poll() is None
            assert plain.wait() == 7
        finally:
            own.kill()
        assert own.wait() == -signal.SIGKILL

    @linux_only
    def test_runs_at_once_end_only_their_own(self, tmp_path: Path) -> None:
        results: dict[int, processes.Captured] = {}
        release = tmp_path / "release"

        def run(number: int) -> None:
            # The marked daemon of a run that ended is gone while the other run's lives.
            wait = f"; while [ ! -e {release} ]; do sleep 0.01; done" if number == 0 else ""
            alive = f"; kill -0 $(cat {tmp_path}/0)" if number == 0 else ""
            results[number] = _run(_daemon(DAEMON, tmp_path / str(number)) + wait + alive)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads[1:]:
            thread.join()
        release.touch()
        threads[0].join()
        assert [(results[n].exit_code, results[n].leftovers) for n in range(3)] == [(0, 1)] * 3
        assert all(_gone(tmp_path / str(number)) for number in range(3))

    def test_missing_program(self) -> None:
        with pytest.raises(EnvironmentProblem, match="cannot start no-such-program: program not found"):
            processes.run_captured(["no-such-program"], cwd="/", env=dict(os.environ), timeout=1)


class TestStart:
    def test_missing_folder_is_named(self) -> None:
        with pytest.raises(EnvironmentProblem, match="the folder /no/such does not exist"):
            processes.start(["true"], cwd="/no/such", env={})

    def test_file_that_is_no_program(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("x")
        with pytest.raises(EnvironmentProblem, match="not permitted"):
            processes.start([str(tmp_path / "text")], cwd="/", env={})

    def test_nul_in_an_argument(self) -> None:
        with pytest.raises(EnvironmentProblem, match="null byte"):
            processes.start(["echo", "a\0b"], cwd="/", env={})

    def test_is_a_session_of_its_own(self) -> None:
        process = processes.start(["sleep", "1000"], cwd="/", env=dict(os.environ))
        try:
            assert os.getsid(process.pid) == process.pid
        finally:
            process.kill()
            process.wait()

    @linux_only
    def test_killed_starter_takes_its_child_along(self) -> None:
        script = (
            "import os, sys, time\nfrom tapeout.base.processes import start\n"
            "p = start(['sleep', '1000'], cwd='/', env=dict(os.environ))\n"
            "print(p.pid, flush=True)\ntime.sleep(1000)"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            child = int(worker.stdout.readline())
            ended = os.pidfd_open(child)
            worker.kill()
            assert select.select([ended], [], [], 30)[0]
            os.close(ended)


def _in_subreaper(body: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own that is a subreaper, so that only its descendants are at stake."""
    head = (
        "import os, subprocess, sys, psutil\nfrom tapeout.base import processes\nassert processes.become_subreaper()\n"
    )
    return subprocess.run([sys.executable, "-c", head + body], capture_output=True, text=True, check=False)


@linux_only
class TestEndDescendants:
    def test_finds_them_however_they_detached(self, tmp_path: Path) -> None:
        script = "; ".join(_daemon(kind, tmp_path / name) for name, kind in (("a", DAEMON), ("b", SCRUBBED)))
        done = _in_subreaper(
            f"subprocess.run(['sh', '-c', {script!r}])\n"
            "print(processes.end_descendants(0.5), psutil.Process().children())"
        )
        assert (done.stdout, done.stderr) == ("2 []\n", "")
        assert _gone(tmp_path / "a")
        assert _gone(tmp_path / "b")

    def test_kills_those_that_ignore_the_request_and_keep_forking(self, tmp_path: Path) -> None:
        bomb = tmp_path / "bomb.py"
        bomb.write_text(
            "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nos.write(1, b'x')\nend = time.monotonic() + 20\n"
            "while time.monotonic() < end:\n"
            "    if os.fork() == 0:\n        os.setsid()\n"
            "    else:\n        time.sleep(0.005)\n        os._exit(0)\n"
        )
        done = _in_subreaper(
            f"p = subprocess.Popen([sys.executable, {str(bomb)!r}], stdout=subprocess.PIPE)\n"
            "p.stdout.read(1)\nprint(processes.end_descendants(0.1) > 0, psutil.Process().children())"
        )
        assert (done.stdout, done.stderr) == ("True []\n", "")

    def test_spares_what_it_is_told_to_keep(self) -> None:
        done = _in_subreaper(
            "env = dict(os.environ)\n"
            "kept = subprocess.Popen(['sh', '-c', 'sleep 1000 & echo; wait'], stdout=subprocess.PIPE)\n"
            "kept.stdout.readline()\n"
            "other = processes.start(['sleep', '1000'], cwd='/', env=env)\n"
            "print(processes.end_descendants(1, keep=[kept.pid]), other.poll(), kept.poll())\n"
            "print(len(psutil.Process().children(recursive=True)), processes.end_descendants(1))"
        )
        assert done.stdout == "1 -15 None\n2 2\n"

    def test_owners_still_learn_the_exit_code(self) -> None:
        done = _in_subreaper(
            "env = dict(os.environ)\n"
            "ours = processes.start(['sleep', '1000'], cwd='/', env=env)\n"
            "ended = processes.start(['sh', '-c', 'exit 5'], cwd='/', env=env)\n"
            "os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)\n"
            "processes.end_descendants(1.0)\n"
            "print(ours.wait(), ended.wait())"
        )
        assert (done.stdout, done.stderr) == ("-15 5\n", "")


class TestEndMarked:
    def test_sweeps_after_a_crash(self, tmp_path: Path) -> None:
        value = new_id()
        script = _daemon(DAEMON, tmp_path / "a") + "; " + _daemon(DAEMON, tmp_path / "b")
        subprocess.run(["sh", "-c", script], env={**os.environ, "TAPEOUT_ATTEMPT": value}, check=True)
        assert processes.end_marked("TAPEOUT_ATTEMPT", "somebody-else") == 0
        assert processes.end_marked("TAPEOUT_ATTEMPT", value) == 2
        assert processes.end_marked("TAPEOUT_ATTEMPT", value) == 0

    def test_takes_children_that_dropped_the_mark(self) -> None:
        value = new_id()
        script = "env -i /bin/sleep 1000 & echo; wait"
        with subprocess.Popen(
            ["sh", "-c", script], env={**os.environ, "TAPEOUT_ATTEMPT": value}, stdout=subprocess.PIPE
        ) as marked:
            assert marked.stdout is not None
            marked.stdout.readline()
            assert processes.end_marked("TAPEOUT_ATTEMPT", value) == 2

    def test_spares_the_caller(self) -> None:
        code = "from tapeout.base.processes import end_marked; print(end_marked('TAPEOUT_ATTEMPT', 'me'))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TAPEOUT_ATTEMPT": "me"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "0\n"


class TestIdentity:
    def test_lives_and_dies(self) -> None:
        process = processes.start(["sleep", "1000"], cwd="/", env=dict(os.environ))
        started = processes.start_time(process.pid)
        assert processes.is_alive(process.pid, started)
        assert not processes.is_alive(process.pid, started - 1), "another process that had this pid"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not processes.is_alive(process.pid, started), "it only waits to be reaped"
        process.wait()
        assert not processes.is_alive(process.pid, started)

    @pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**40])
    def test_no_such_process(self, pid: int) -> None:
        assert not processes.is_alive(pid, 1.0)
        with pytest.raises(NotFound):
            processes.start_time(pid)

    def test_is_the_same_for_every_observer(self) -> None:
        code = "import sys; from tapeout.base.processes import start_time; print(start_time(int(sys.argv[1])))"
        seen = subprocess.run(
            [sys.executable, "-c", code, str(os.getpid())], capture_output=True, text=True, check=True
        )
        assert float(seen.stdout) == processes.start_time(os.getpid())


def test_a_signal_while_a_program_is_started_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run already when whoever started it does not know its id yet."""
    os.mkfifo(tmp_path / "fifo")
    started = processes.start

    def interrupted(*arguments: Any, **settings: Any) -> Any:
        started(*arguments, **settings)
        (tmp_path / "fifo").read_text()
        raise SystemExit(143)

    monkeypatch.setattr(processes, "start", interrupted)
    script = f"setsid sleep 1000 & echo $! > {tmp_path}/daemon; echo > {tmp_path}/fifo; sleep 1000"
    with pytest.raises(SystemExit):
        processes.run_captured(["sh", "-c", script], cwd=str(tmp_path), env={"PATH": os.environ["PATH"]}, timeout=60)
    daemon = int((tmp_path / "daemon").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):  # killed, it may have to be reaped still
        assert psutil.Process(daemon).status() == psutil.STATUS_ZOMBIE
