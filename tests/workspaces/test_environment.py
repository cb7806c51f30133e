"""An agent's environment is made from an allow-list."""

from hypothesis import given
from hypothesis import strategies as st

from tapeout.workspaces import Settings, environment

SETTINGS = Settings(
    attempt="a1", issue="i1", number=2, tmp="/t", repository="/r", home="/h", port_base=20010, port_count=10
)


def _with(**changes: object) -> Settings:
    return Settings(**{**SETTINGS.__dict__, **changes})


def test_what_an_attempt_gets() -> None:
    source = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "AWS_SECRET": "s",
        "GIT_DIR": "/x",
        "LD_PRELOAD": "/evil",
        "TAPEOUT_CRASH_AT": "x",
        "API_KEY": "k",
        "TERM": "xterm",
    }
    made = environment(source, _with(pass_env=("API_KEY", "GIT_DIR", "NOT_THERE"), env={"MODE": "fast"}))
    assert made == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "API_KEY": "k",
        "MODE": "fast",
        "TERM": "dumb",
        "TMPDIR": "/t",
        "TAPEOUT_ATTEMPT": "a1",
        "TAPEOUT_ISSUE": "i1",
        "TAPEOUT_ATTEMPT_NUMBER": "2",
        "TAPEOUT_NAMESPACE": "tapeout_a1",
        "TAPEOUT_PORT_BASE": "20010",
        "TAPEOUT_PORT_COUNT": "10",
        "TAPEOUT_REPOSITORY": "/r",
        "TAPEOUT_HOME": "/h",
    }
    assert environment(source, _with(terminal=True))["TERM"] == "xterm-256color"


def test_settings_win_but_not_over_the_mark() -> None:
    made = environment({"PATH": "/bin"}, _with(env={"PATH": "/mine", "TAPEOUT_ATTEMPT": "forged"}))
    assert (made["PATH"], made["TAPEOUT_ATTEMPT"]) == ("/mine", "a1")


names = st.text("ABCGIT_LP", min_size=1, max_size=8).map(lambda tail: f"GIT_{tail}") | st.text(min_size=1)


@given(source=st.dictionaries(names, st.text()), passed=st.lists(names))
def test_nothing_else_leaks(source: dict[str, str], passed: list[str]) -> None:
    made = environment(source, _with(pass_env=tuple(passed)))
    fixed = set(environment({}, SETTINGS))
    for name in made.keys() - fixed:
        assert name in passed or name.startswith("LC_") or name in ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
        assert not name.startswith("GIT_")
