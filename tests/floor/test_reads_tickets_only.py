"""Law 7: the coordinator reads tickets and never the work. Watched from inside its process."""

import os
import sys
from pathlib import Path

from tests.floor.conftest import Workbench, script, step, turn

WATCH = """
import os, sys
if "up" in sys.orig_argv:
    log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def watch(event, arguments):
        if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes)):
            os.write(log, os.fsencode(arguments[0]) + b"\\n")
    sys.addaudithook(watch)
"""


def test_the_floor_opens_nothing_of_the_work(bench: Workbench, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "opened"
    bad = turn(step(write="broken", text="x"), step(say="Look at all this output."))
    for number in range(3):
        bench.new(f"Issue {number}", script(bad, turn(step(delete="broken"), step(write=f"f{number}", text="1"))))

    bench.up(PYTHONPATH=f"{hooks}{os.pathsep}{os.pathsep.join(sys.path)}", WATCH_LOG=str(log))

    opened = log.read_text().splitlines()
    assert any(line.endswith("tracker.db") for line in opened) or any("bells" in line for line in opened), "it watched"
    state = bench.paths
    for forbidden in (state.workspaces, state.terminals, state.transcripts, state.evidence, state.gate):
        assert [line for line in opened if line.startswith(forbidden)] == []
