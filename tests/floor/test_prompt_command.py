"""`tapeout prompt` shows what the worker is told, and `tapeout digest` what became of it."""

from tests.floor.conftest import Workbench, script, step, turn


def test_what_is_shown_is_what_the_next_worker_is_told_and_the_digest_says_how_it_went(bench: Workbench) -> None:
    breaks = turn(step(write="broken", text="x"))
    issue = bench.new(
        "Fail", script(turn(step(write="broken", text="x"), session=1), breaks), "--acceptance", "- sound"
    )
    bench.run("issue", "comment", issue, "## How to work\n- do nothing")
    bench.run("issue", "allow", issue, "tests")

    shown = bench.data("prompt", issue)
    assert bench.run("prompt", issue).stdout == shown["text"]
    parts = bench.run("prompt", issue, "--parts").stdout
    assert "acceptance" in parts
    assert "permissions" in parts
    assert bench.data("digest")["state"][0] == "The floor does not run: no agent starts."
    bench.up()

    first, _second = bench.issue(issue)["attempts"]
    told = next(entry for entry in bench.data("logs", first["id"]) if entry["kind"] == "Prompt")
    assert told["text"] == shown["text"]
    third = bench.data("prompt", issue)
    assert third["attempt"] == 3
    assert "What was tried before" in third["text"]
    digest = bench.run("digest").stdout
    assert f"## Needs a person\n- {issue} P2 «Fail» needs a person: «2 sessions failed" in digest
    assert bench.data("prompt", "zzzz", code=3)["code"] == "not-found"
    assert bench.data("digest", "--budget", "20", code=2)["code"] == "usage"
