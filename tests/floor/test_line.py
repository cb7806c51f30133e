"""The line runs: from an issue to a landed commit, through the command line and real processes."""

import json
import os

from tests.floor.conftest import CONFIG, Workbench, script, step, turn, writes


def test_an_issue_becomes_a_landed_commit_with_evidence(bench: Workbench) -> None:
    issue = bench.new("Write a", writes("a.txt", "first\n"))

    bench.up()

    shown = bench.issue(issue)
    assert (shown["status"], shown["resolution"]) == ("closed", "landed")
    assert bench.git("rev-parse", "main") == shown["landed_commit"]
    assert (bench.root / "a.txt").read_text() == "first\n"
    evidence = bench.data("gate", "show", shown["landed_commit"])
    assert evidence["passed"] is True
    assert evidence["tree"] == bench.git("rev-parse", "main^{tree}")
    assert [check["name"] for check in evidence["checks"]] == ["sound"]
    assert os.listdir(bench.paths.workspaces) == []


def test_a_chain_lands_in_order_and_each_link_sees_the_one_before(bench: Workbench) -> None:
    first = bench.new("One", writes("one.txt"))
    second = bench.new("Two", script(turn(step(run="test -e one.txt && echo 2 > two.txt"))), "--depends-on", first)
    third = bench.new("Three", script(turn(step(run="test -e two.txt && echo 3 > three.txt"))), "--depends-on", second)

    bench.up()

    assert bench.landings() == {first: 1, second: 1, third: 1}
    assert (bench.root / "three.txt").exists()


def test_a_refused_change_goes_back_to_the_same_session(bench: Workbench) -> None:
    bad = turn(step(write="broken", text="x"), step(write="a.txt", text="1"), step(commit="Break"))
    good = turn(step(delete="broken"), step(commit="Mend"))
    issue = bench.new("Refine", script(bad, good))

    summary = bench.data("up", "--until-idle")

    shown = bench.issue(issue)
    assert shown["resolution"] == "landed"
    assert [attempt["rounds"] for attempt in shown["attempts"]] == [2]
    assert [change["state"] for change in shown["changes"]] == ["failed", "landed"]
    assert summary["first_pass_yield"] == 0


def test_two_failing_sessions_end_with_a_report_for_a_person(bench: Workbench) -> None:
    issue = bench.new("Never", script(turn(step(write="broken", text="x"), step(append="broken", text="y"))))

    bench.up()

    shown = bench.issue(issue)
    assert shown["status"] == "open"
    assert "2 sessions failed" in shown["needs_person"]
    first, second = shown["attempts"]
    assert (first["outcome"], second["outcome"]) == ("failed", "failed")
    assert second["rounds"] < first["rounds"] <= 3, "the second did what the first had done: it was cut for that"
    assert "Given up" in shown["comments"][-1]["text"]
    assert bench.landings() == {}
    assert bench.data("ready") == []

    bench.run("issue", "reopen", issue)
    assert [ready["id"] for ready in bench.data("ready")] == [issue]


def test_done_without_a_change_lands_nothing(bench: Workbench) -> None:
    issue = bench.new("Talk", script(turn(step(say="All done, tests pass!"))))

    bench.up()

    assert "3 prompts in a row" in bench.issue(issue)["needs_person"]
    assert bench.issue(issue)["needs_person"].endswith("changed nothing in the work tree")
    assert bench.landings() == {}


def test_a_fresh_session_is_told_what_was_tried(bench: Workbench) -> None:
    issue = bench.new("Fail", script(turn(step(write="broken", text="x"))))

    bench.up()

    second = bench.issue(issue)["attempts"][1]["id"]
    prompt = next(entry for entry in bench.data("logs", second) if entry["kind"] == "Prompt")
    assert "What was tried before" in prompt["text"]
    assert "Attempt 1 by scripted: failed" in prompt["text"]


def test_work_that_is_not_committed_lands_too(bench: Workbench) -> None:
    bench.new("Forgetful", script(turn(step(write="deep/new.txt", text="kept\n"))))

    bench.up()

    assert (bench.root / "deep/new.txt").read_text() == "kept\n"


def test_eight_workers_land_sixteen_issues_each_exactly_once(bench: Workbench) -> None:
    issues = [bench.new(f"Issue {number}", writes(f"file{number}.txt")) for number in range(16)]

    bench.up("--workers", "8")

    assert bench.landings() == dict.fromkeys(issues, 1)


def test_a_conflict_starts_again_from_the_new_main(bench: Workbench) -> None:
    edit = "import pathlib; p = pathlib.Path('README.md'); p.write_text(p.read_text().rstrip() + ' {}\\n')"
    first = bench.new("Greet A", script(turn(step(run=f'python3 -c "{edit.format("A")}"'), step(sleep=0.5))))
    second = bench.new("Greet B", script(turn(step(run=f'python3 -c "{edit.format("B")}"'), step(sleep=0.5))))

    bench.up()

    assert bench.landings() == {first: 1, second: 1}
    assert sorted((bench.root / "README.md").read_text().split()) == ["A", "B", "hello"]
    outcomes = [a["outcome"] for issue in (first, second) for a in bench.issue(issue)["attempts"]]
    assert sorted(outcomes) == ["conflict", "landed", "landed"]


def test_the_candidate_does_not_choose_its_own_checks(bench: Workbench) -> None:
    loosened = CONFIG.replace("test ! -e broken && echo sound", "echo fine")
    steps = (step(write="tapeout.toml", text=loosened), step(write="broken", text="x"))
    issue = bench.new("Cheat", script(turn(*steps)))

    bench.up()

    assert bench.landings() == {}
    reason = bench.issue(issue)["changes"][0]["verdict"]["reason"]
    assert "sound" in reason


def test_attach_and_replay_show_the_session(bench: Workbench) -> None:
    issue = bench.new("Speak", script(turn(step(say="Hello from the worker."), step(write="a", text="1"))))

    bench.up()

    for command in ("attach", "replay"):
        assert "Hello from the worker." in bench.run(command, issue).stdout


def test_status_and_logs_tell_what_happened(bench: Workbench) -> None:
    issue = bench.new("Write a", writes("a.txt"))
    bench.up()

    status = bench.data("status")
    assert status["floor"] is None
    assert status["counts"]["landed"] == 1
    kinds = [event["kind"] for event in bench.data("logs", issue)]
    assert kinds.index("attempt-started") < kinds.index("change-submitted") < kinds.index("change-landed")
    assert "landed as" in bench.run("logs").stdout


def test_agents_in_a_workspace_reach_the_tracker(bench: Workbench) -> None:
    command = 'python3 -m tapeout issue new "Found on the way" --json > said.json'
    bench.new("Discover", script(turn(step(run=command), step(write="a", text="1"))))

    bench.up(PATH=f"{os.path.dirname(os.sys.executable)}:{os.environ['PATH']}")  # type: ignore[attr-defined]

    said = json.loads(bench.git("show", "main:said.json"))
    found = bench.issue(said["data"]["id"])
    assert found["title"] == "Found on the way"
    assert bench.data("logs", found["id"])[0]["actor"].startswith("agent:a-")
