"""Pushing to a hub and verifying what landed, through the command line."""

import json
import os
import signal
import subprocess
from pathlib import Path

from tapeout.base.git import move_ref
from tapeout.base.paths import REPOSITORY_VARIABLE
from tapeout.tracker.doorbell import Doorbell
from tests.floor.conftest import CONFIG, Workbench, writes
from tests.gate.site import commit_tree


def clone_with_a_commit(bench: Workbench, tmp_path: Path, name: str = "a.txt") -> Path:
    folder = tmp_path / f"clone-{name}"
    bench.git("clone", "-q", str(bench.root), str(folder))
    (folder / name).write_text("x")
    for words in (["add", "-A"], ["commit", "-q", "-m", f"Add {name}"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def push(folder: Path, command: str) -> str:
    """Run the command that `tapeout hub` prints; what it says."""
    done = subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stderr


def test_what_hub_says_is_a_push_that_works_and_lands(bench: Workbench, tmp_path: Path) -> None:
    hub = bench.data("hub")
    assert (hub["branch"], hub["ref"], hub["path"]) == ("main", "refs/for/main", bench.paths.hub)
    assert hub["push"] in bench.run("hub").stdout
    folder = clone_with_a_commit(bench, tmp_path)
    assert "no floor runs" in push(folder, hub["push"])

    bench.up()

    assert (bench.root / "a.txt").exists()
    verified = bench.data("gate", "verify", "--all")
    assert [one["kind"] for one in verified["commits"]] == ["landed", "adopted"]
    assert "2 commits in order" in bench.run("gate", "verify", "--all", "--rerun").stdout


def test_a_push_to_a_running_floor_lands(bench: Workbench, tmp_path: Path) -> None:
    hub = bench.data("hub")
    folder = clone_with_a_commit(bench, tmp_path)
    floor = bench.start("up", "--plain")
    with Doorbell(bench.paths.bells) as bell:
        while not bench.data("status")["floor"]:
            bell.wait(1)
        said = push(folder, hub["push"])
        while not (bench.root / "a.txt").exists():
            bell.wait(1)
    assert "the floor's gate takes it in its turn" in said
    floor.send_signal(signal.SIGTERM)
    floor.communicate()


def test_evidence_is_shown_with_who_signed_it_and_as_dsse(bench: Workbench) -> None:
    bench.new("Write a", writes("a.txt"))
    bench.up()
    assert bench.data("gate", "show", "main")["signed_by"] == "this hub"
    assert "signed by  this hub" in bench.run("gate", "show", "main").stdout
    envelope = json.loads(bench.run("gate", "show", "main", "--dsse").stdout)
    assert envelope == bench.data("gate", "show", "main", "--dsse")
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert "1 commit in order" in bench.run("gate", "verify", "main").stdout
    assert "1 commit in order" in bench.run("gate", "verify", "main~1..main").stdout


def test_a_main_that_was_moved_past_the_gate_is_told_everywhere_until_a_person_says_what_is_right(
    bench: Workbench,
) -> None:
    bench.new("Write a", writes("a.txt"))
    bench.up()
    good = bench.git("rev-parse", "main")
    rogue = commit_tree(bench.hub, [good], {"evil.txt": "x"})
    assert move_ref(bench.hub, "refs/heads/main", rogue, good)

    said = "moved past the gate"
    assert said in bench.run("up", "--until-idle", code=7).stderr
    assert said in bench.run("publish", code=5).stderr
    assert said in bench.run("hub", code=7).stderr
    failed = bench.data("gate", "verify", "--all", code=6)
    assert failed["details"]["problems"] == [f"{rogue[:12]}: it has no evidence: it did not land through the gate"]
    table = bench.run("gate", "verify", "--all", code=6)
    assert "NOT validated" in table.stdout
    assert bench.git("rev-parse", "main") == good

    agent = {"TAPEOUT_ATTEMPT": "a-1", REPOSITORY_VARIABLE: str(bench.root)}
    assert "for people" in bench.run("hub", "--accept", rogue, code=5, **agent).stderr
    assert "not at" in bench.run("hub", "--accept", good, code=4).stderr
    bench.run("hub", "--accept", rogue)
    bench.up()
    assert bench.git("rev-parse", "main") == rogue
    assert [one["kind"] for one in bench.data("gate", "verify", "--all")["commits"]] == [
        "adopted", "landed", "adopted",
    ]  # fmt: skip


def test_run_again_a_check_may_fail(bench: Workbench, tmp_path: Path) -> None:
    marker = tmp_path / "broken by the world"
    config = CONFIG.replace("test ! -e broken", f"test ! -e '{marker}'")
    config += '\n[gate]\nsandbox = "off"\n'  # in one the world could not be seen
    bench.commit({"tapeout.toml": config}, "Depend on the world")
    bench.new("Write a", writes("a.txt"))
    bench.up()
    bench.run("gate", "verify", "main", "--rerun")
    marker.touch()
    failed = bench.data("gate", "verify", "main", "--rerun", code=6)
    assert [line.partition(": ")[2] for line in failed["details"]["problems"]] == [
        "run again, check sound fails: exit code 1"
    ]


def test_gc_keeps_logs_as_long_as_the_gate_says(bench: Workbench) -> None:
    bench.new("Write a", writes("a.txt"))
    bench.up()
    logs = list(Path(bench.paths.evidence).glob("*/*.log"))
    bench.run("gc")
    assert [log.exists() for log in logs] == [True]
    bench.commit({"tapeout.toml": CONFIG + '\n[gate]\nkeep_logs = "24h"\n'}, "Keep logs for a day")
    bench.data("hub")
    os.utime(logs[0], (0, 0))
    bench.run("gc")
    assert [log.exists() for log in logs] == [False]
    assert "not kept any more" in bench.run("gate", "verify", "main~1").stdout


def test_words_that_name_nothing(bench: Workbench) -> None:
    bench.data("hub")
    for words, code in (
        (("gate", "verify"), 2), (("gate", "verify", "main", "--all"), 2), (("gate", "verify", "nosuch"), 3),
        (("gate", "verify", "nosuch..main"), 3), (("gate", "show", "main"), 3), (("hub", "--accept", "nosuch"), 3),
    ):  # fmt: skip
        assert bench.run(*words, code=code).stderr.count("\n") == 1


def test_a_key_that_others_can_read_is_told(bench: Workbench) -> None:
    bench.new("Write a", writes("a.txt"))
    bench.up()
    key = os.path.join(bench.paths.trust, "evidence.key")
    os.chmod(key, 0o644)
    assert f"others can read the key: chmod 600 {key}" in bench.run("gate", "verify", "main", code=6).stdout
