"""The script format: found in a prompt, parsed, checked strictly."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents.scripted import Script, ScriptError, Step, Turn, find_script, parse_script

from .conftest import relaxed


def block(body: str, fence: str = "```", indent: str = "") -> str:
    lines = [f"{fence}tapeout-script", *body.splitlines(), fence]
    return "\n".join(indent + line for line in lines) + "\n"


@pytest.mark.parametrize("fence", ["```", "`````"])
@pytest.mark.parametrize("indent", ["", "  ", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_block_is_found_wherever_it_stands(fence: str, indent: str, newline: str) -> None:
    prompt = f"# Issue\n\n```python\nx\n```\n\n{block('a = 1', fence, indent)}\nThe end.\n".replace("\n", newline)
    assert find_script(prompt) == f"a = 1{newline}"


def test_the_first_of_several_counts() -> None:
    assert find_script(block("a = 1") + block("a = 2")) == "a = 1\n"


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    assert find_script(block("```\nx\n```", "````")) == "```\nx\n```\n"


@pytest.mark.parametrize("prompt", ["", "tapeout-script", "```toml\na = 1\n```", "text ```tapeout-script\n```"])
def test_no_block(prompt: str) -> None:
    assert find_script(prompt) is None


@pytest.mark.parametrize("prompt", ["```tapeout-script\na = 1\n", "````tapeout-script\na = 1\n```\n"])
def test_a_block_that_is_not_closed_is_an_error(prompt: str) -> None:
    with pytest.raises(ScriptError, match="not closed"):
        find_script(prompt)


STEPS = {
    "write = 'a'\ntext = 'b'": Step("write", "a", {"text": "b"}),
    "replace = 'a'\nold = 'b'\nnew = 'c'": Step("replace", "a", {"old": "b", "new": "c"}),
    "replace = 'a'\nold = 'b'\nnew = 'c'\ncount = 1": Step("replace", "a", {"old": "b", "new": "c", "count": 1}),
    "append = 'a'\ntext = 'b'": Step("append", "a", {"text": "b"}),
    "delete = 'a'": Step("delete", "a", {}),
    "run = 'a'": Step("run", "a", {}),
    "commit = 'a'": Step("commit", "a", {}),
    "say = 'a'": Step("say", "a", {}),
    "sleep = 1": Step("sleep", 1, {}),
    "sleep = 0.5": Step("sleep", 0.5, {}),
    "usage = 1": Step("usage", 1, {}),
    "usage = 1\nsize = 2\ncost = 0.5": Step("usage", 1, {"size": 2, "cost": 0.5}),
    "ask = 'a'": Step("ask", "a", {}),
    "crash = 9": Step("crash", 9, {}),
    "exit = 0": Step("exit", 0, {}),
    "hang = true": Step("hang", True, {}),
    "hang = true\ndeaf = true": Step("hang", True, {"deaf": True}),
    "flood = 1": Step("flood", 1, {}),
    "rubbish = 'a'": Step("rubbish", "a", {}),
    "daemon = 'a'": Step("daemon", "a", {}),
    "fail = 'a'": Step("fail", "a", {}),
}


@pytest.mark.parametrize("text", STEPS)
def test_each_kind_of_step(text: str) -> None:
    assert parse_script(f"[[turn]]\n[[turn.step]]\n{text}") == Script((Turn(None, (STEPS[text],)),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[turn]", "not valid TOML: .*line 1"),
        ("", r"there is no \[\[turn\]\]"),
        ("turn = 1", r"there is no \[\[turn\]\]"),
        ("turn = [1]", r"turn 1: should be a \[\[turn\]\] table"),
        ("[[turn]]\n[turns]", "unknown key 'turns'"),
        ("[[turn]]\nsteps = []", r"line 1 \(turn 1\): unknown key 'steps'"),
        ("[[turn]]\n[[turn]]\nsession = 0", r"line 2 \(turn 2\): session should be a whole number from 1"),
        ("[[turn]]\nsession = true", "session should be a whole number from 1"),
        ("[[turn]]\nstep = 1", "steps are"),
        ("[[turn]]\nstep = [1]", r"turn 1, step 1: should be a \[\[turn.step\]\] table"),
        ("[[turn]]\n\n[[turn.step]]\nsay = 'a'\n[[turn.step]]", r"line 5 \(turn 1, step 2\): needs exactly one action"),
        ("[[turn]]\n[[turn.step]]\nsay = 'a'\nrun = 'b'", "has say and run"),
        ("[[turn]]\n[[turn.step]]\nsay = 'a'\ntext = 'b'", r"line 2 .*: say has no option 'text'"),
        ("[[turn]]\n[[turn.step]]\nwrite = 'a'", "write needs 'text'"),
        ("[[turn]]\n[[turn.step]]\nwrite = 'a'\ntext = 1", "text should be text"),
        ("[[turn]]\n[[turn.step]]\nsay = 1", "say should be text"),
        ("[[turn]]\n[[turn.step]]\nsleep = 'a'", "sleep should be a number"),
        ("[[turn]]\n[[turn.step]]\nsleep = -1", "sleep should be a number"),
        ("[[turn]]\n[[turn.step]]\nsleep = nan", "sleep should be a number"),
        ("[[turn]]\n[[turn.step]]\nusage = 1.5", "usage should be a whole number"),
        ("[[turn]]\n[[turn.step]]\ncrash = true", "crash should be a whole number"),
        ("[[turn]]\n[[turn.step]]\nhang = 1", "hang should be true or false"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        parse_script(text)


def numbered(*sessions: int | None) -> Script:
    return Script(tuple(Turn(session, (Step("say", str(n), {}),)) for n, session in enumerate(sessions)))


@pytest.mark.parametrize(
    ("script", "session", "prompts"),
    [
        (numbered(None), 1, "000"),
        (numbered(None, None), 2, "011"),
        (numbered(None, 2, None, 2), 1, "022"),
        (numbered(None, 2, None, 2), 2, "133"),
        (numbered(2), 1, ""),
    ],
)
def test_which_turn_is_played(script: Script, session: int, prompts: str) -> None:
    turns = [script.turn(session, number) for number in (1, 2, 3)]
    assert "".join(step.value for turn in turns for step in turn.steps) == prompts


@relaxed
@given(st.text() | st.text(st.sampled_from("[]turn.step\n='sayrun1 ")))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    for function in (find_script, parse_script):
        with contextlib.suppress(ScriptError):
            function(text)


@relaxed
@given(st.text(), st.text())
def test_what_is_in_the_block_is_found_exactly(body: str, after: str) -> None:
    body = body.replace("`", "").replace("\r", "")
    found = find_script(f"```tapeout-script\n{body}\n```\n{after}")
    assert found == body + "\n"


def test_the_scripts_of_the_documentation_are_valid_and_show_every_action() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/scripted-agent.md").read_text()
    scripts = [parse_script(find_script(part) or "") for part in page.split("````")[1::2]]
    shown = {step.action for script in scripts for turn in script.turns for step in turn.steps}
    assert shown == {step.action for step in STEPS.values()}
