"""`tapeout.toml`: what is wrong is named by line and field, whatever is in the file."""

import json
import math
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import UsageError
from tapeout.config import parse_config, parse_duration

CHECK = '[[check]]\nname = "tests"\nrun = "make test"\n'


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_config(text)
    message = caught.value.message
    assert len(message.splitlines()) == 1
    return message


def test_a_check_is_all_that_is_needed() -> None:
    config = parse_config(CHECK)
    assert config.project.branch == "main"
    assert [check.argv for check in config.check] == [["sh", "-c", "make test"]]


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_one_line_that_says_what_is_wrong(text: str) -> None:
    try:
        message = ""
        parse_config(text)
    except UsageError as error:
        message = error.message
    assert message == "" or re.fullmatch(r"tapeout\.toml:.+", message)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = 1" + "0" * 5000, "a = 0x" + "f" * 9000])
def test_what_the_toml_reader_chokes_on_is_an_error_like_any_other(text: str) -> None:
    assert refused(text).startswith("tapeout.toml:")


FILLERS = st.lists(
    st.sampled_from(["", "# [floor]", "  # workers = 'x'", "#]", "# [[check]]", "\t"]),
    max_size=4,
)
SCRIPT = 'run = """\n[[ -f x ]] && exit 1\n[floor]\ntimeout = "never"\n"""'
GOOD = {
    "[project]": ['branch = "main"', "publish = 'none'"],
    "[floor]": ["workers = 3", 'agent = "codex"', 'lease = "90s"'],
    "[gate]": ["fail_fast = true", 'tests = [\n  "tests/**",\n  "[ab]*.py",\n]'],
    "[agents.mine]": ['driver = "command"', 'command = ["mine", "--go=1"]'],
    '[agents."odd.name"]': ['driver = "acp"', 'command = ["odd"]'],
    "[[check]] # first": ['name = "one"', 'run = "true"', "timeout = 5"],
    "[[check]]": ['name = "two"', SCRIPT, 'kind = "test"'],
    "[[ check ]]": ['name = "three"', "run = '''\n[[check]]\n'''", 'timeout = "1m"'],
}
"""Tables of a valid file, with keys; scripts hold what looks like tables and is none."""

BAD = {
    "[project]": [("branch = 1", "project.branch"), ("brunch = 'x'", "project.brunch")],
    "[floor]": [('agent = "a b"', "floor.agent"), ("refine_rounds = 11", "floor.refine_rounds")],
    "[gate]": [("pass_env = 'X'", "gate.pass_env"), ("globs = []", "gate.globs")],
    "[agents.mine]": [("mode = 3", "agents.mine.mode"), ('"dri ver" = 1', "agents.mine.dri ver")],
    '[agents."odd.name"]': [("env = 3", "agents.odd.name.env"), ("extra = 1", "agents.odd.name.extra")],
    "[[check]] # first": [("kind = 'taste'", "check.0.kind")],
    "[[check]]": [("timeout = 'soon'", "check.1.timeout"), ("timeout = 0", "check.1.timeout")],
    "[[ check ]]": [("kind = 7", "check.2.kind"), ("extra = 1", "check.2.extra")],
}


@given(st.data())
def test_the_line_and_the_field_of_a_mistake_are_named(data: st.DataObject) -> None:
    """A valid file with comments and blank lines anywhere, and one bad key added anywhere in its table."""
    where = data.draw(st.sampled_from(sorted(BAD)))
    line, field = data.draw(st.sampled_from(BAD[where]))
    lines: list[str] = []
    expected = 0
    for header, keys in GOOD.items():
        rows: Sequence[str] = [key for key in keys if not key.startswith(line.partition(" ")[0] + " ")]
        if header == where:
            at = data.draw(st.integers(0, len(rows)))
            rows = [*rows[:at], line, *rows[at:]]
        for row in (header, *rows):
            lines += [*data.draw(FILLERS), row]
            if header == where and row == line:
                expected = len("\n".join(lines).split("\n"))
    assert refused("\n".join(lines)).startswith(f"tapeout.toml:{expected}: {field}: ")


def test_what_is_missing_is_named_at_its_table() -> None:
    assert refused(f'{CHECK}\n[[check]]\nname = "x"\n') == (
        "tapeout.toml:5: check.1: a custom check needs run, its command"
    )
    assert refused("[floor]\nworkers = 1\n") == "tapeout.toml:1: check: at least one [[check]] is required"


def test_two_checks_of_one_name_are_refused() -> None:
    assert "two checks have the name 'tests'" in refused(CHECK + CHECK)


@given(st.integers(0, 10_000), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("", 1)]))
def test_durations_are_seconds(number: int, unit: tuple[str, float]) -> None:
    seconds = parse_duration(f"{number}{unit[0]}")
    assert isinstance(seconds, float)
    assert math.isclose(seconds, number * unit[1])


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "true", '""', '"1d"', '"-5s"', '"inf"', f'"{"9" * 400}"'])
@pytest.mark.parametrize("field", ["lease", "turn_timeout", "start_timeout"])
def test_a_duration_is_a_finite_number_above_zero(field: str, value: str) -> None:
    assert refused(f"[floor]\n{field} = {value}\n{CHECK}").startswith(f"tapeout.toml:2: floor.{field}: ")


@pytest.mark.parametrize("value", ["0.5", '"500ms"', '"3h"'])
def test_a_lease_is_long_enough_to_renew_and_short_enough_to_run_out(value: str) -> None:
    assert "floor.lease" in refused(f"[floor]\nlease = {value}\n{CHECK}")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_a_command_is_taken_as_it_is_written(command: str) -> None:
    text = CHECK.replace('"make test"', json.dumps(command, ensure_ascii=False))
    assert parse_config(text).check[0].run == command


MORE = {
    "needs = ['other']": "check 'tests' needs 'other', and there is no such check",
    "needs = ['tests']": "the check needs itself",
    "ratchet = true": "ratchet needs a report",
    "report_file = 'x'": "report_file needs a report",
    "report = 'sarif'\nreport_file = '../x'": "should be a file below the checkout",
    "report = 'sarif'\nreport_file = '/x'": "should be a file below the checkout",
    "report = 'html'": "should be 'exit', 'sarif', 'junit', 'lines', 'eslint', 'cargo' or 'go-test'",
    "expects = '1'": "expects needs version",
    "version = 'x'\nexpects = '>=one'": "should be the beginning of a version",
    "version = 'x'\nexpects = ' '": "should be the beginning of a version",
    "[gate]\norder = 'random'": "should be 'measured' or 'declared'",
    "[gate]\nflaky_reruns = 9": "should be less than or equal to 5",
}


@pytest.mark.parametrize("more", MORE)
def test_checks_that_do_not_fit_together_are_told(more: str) -> None:
    assert MORE[more] in refused(CHECK + more)


def test_a_circle_of_needs_is_told_as_a_circle() -> None:
    checks = [f"[[check]]\nname = '{name}'\nrun = 'x'\nneeds = ['{need}']\n" for name, need in ("ab", "bc", "cb")]
    assert "checks need each other in a circle: b -> c -> b" in refused("".join(checks))
