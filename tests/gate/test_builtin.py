"""The built-in checks: what they see, and what they leave alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.config import CheckConfig, GateConfig
from tapeout.config.gate import BUILTIN_KINDS
from tapeout.gate.builtin import Change, builtin_report, read_change
from tapeout.gate.builtin.change import ChangedFile, Commit
from tapeout.gate.builtin.copies import LEAST_LINES
from tapeout.gate.builtin.secrets import entropy, secret_in
from tapeout.gate.prove.snippets import KEYS
from tapeout.gate.reports.model import Diagnostic
from tests.gate.site import commit_files, commit_tree, git, make_repository

GATE = GateConfig()


def found(kind: str, change: Change, gate: GateConfig = GATE) -> list[Diagnostic]:
    check = CheckConfig.model_validate({"name": kind, "kind": kind})
    return list(builtin_report(check, gate, change).diagnostics)


def rules(kind: str, change: Change, gate: GateConfig = GATE) -> list[tuple[str, str, int]]:
    return [(one.rule, one.path, one.line) for one in found(kind, change, gate)]


def file(path: str, text: str = "", *, before: str | None = None, size: int | None = None) -> ChangedFile:
    lines = tuple(enumerate(text.split("\n"), start=1)) if text else ()
    return ChangedFile(path, path if before is None else before, len(text) if size is None else size, False, lines)


def change(*files: ChangedFile, scope: tuple[str, ...] = (), others: dict[str, str] | None = None) -> Change:
    def read() -> Iterator[tuple[str, str]]:
        return iter((others or {}).items())

    return Change(files, (), scope, read)


def test_every_kind_without_a_command_has_a_check() -> None:
    for kind in BUILTIN_KINDS:
        assert found(kind, change()) == []


class TestSize:
    def test_a_giant_file(self) -> None:
        assert rules("size", change(file("a.bin", size=5_000_001), file("b.bin", size=5_000_000))) == [
            ("large-file", "a.bin", 0)
        ]

    def test_a_change_that_nobody_can_read(self) -> None:
        text = "\n".join(map(str, range(100)))
        assert rules("size", change(file("a.py", text)), GateConfig(most_lines=99)) == [("large-change", "", 0)]
        assert rules("size", change(file("a.py", text)), GateConfig(most_lines=100)) == []


class TestScope:
    def test_only_what_the_issue_declares(self) -> None:
        files = [file("src/a.py"), file("lib/b.py"), file("tests/test_a.py"), file("CHANGELOG.md")]
        assert rules("scope", change(*files, scope=("src/**",))) == [("out-of-scope", "lib/b.py", 0)]

    def test_an_issue_that_declares_nothing_may_go_anywhere(self) -> None:
        assert rules("scope", change(file("lib/b.py"))) == []

    def test_a_file_that_is_moved_out_and_one_that_is_moved_in(self) -> None:
        moved = [file("lib/b.py", before="src/b.py"), file("src/c.py", before="lib/c.py")]
        assert rules("scope", change(*moved, scope=("src/**",))) == [
            ("out-of-scope", "lib/b.py", 0),
            ("out-of-scope", "lib/c.py", 0),
        ]


class TestCommits:
    @pytest.mark.parametrize(
        "message",
        ["", "x", "fixup! Add a", "squash! Add a", "WIP", "wip: half", "tmp", "todo.", "A" * 121, "Add a\nmore",
         "Add a \x1b[31mred\x1b[0m one"],
    )  # fmt: skip
    def test_messages_that_help_nobody(self, message: str) -> None:
        assert rules("commits", Change((), (Commit("a" * 40, message),))) == [("commit-message", "", 0)]

    @pytest.mark.parametrize(
        "message",
        [
            "Fix it",
            "Add a\n\nBecause b.\n",
            "A" * 120,
            "Wipe the cache",
            "Todo list: add a button",
            "Temperature in °C",
        ],
    )
    def test_messages_that_do(self, message: str) -> None:
        assert rules("commits", Change((), (Commit("a" * 40, message),))) == []


class TestSecrets:
    @pytest.mark.parametrize("key", [key for _, key in KEYS])
    def test_keys_that_the_proof_plants(self, key: str) -> None:
        assert rules("secrets", change(file("a.py", f'KEY = "{key}"'))) != []

    @pytest.mark.parametrize(
        ("rule", "parts"),
        [
            ("aws-access-key", ("AKIA", "Q3EGRJ7LZ2XK5WNB")),
            ("gitlab-token", ("glpat-", "x7Kq2mPz9RtL4vWn8BsY")),
            ("slack-token", ("xoxb-", "123456789012-abcdefghij")),
            ("stripe-key", ("sk_live_", "x7Kq2mPz9RtL4vWn8BsYcD3f")),
            ("google-api-key", ("AIza", "SyD-x7Kq2mPz9RtL4vWn8BsYcD3fGhJ5kA6")),
            ("anthropic-key", ("sk-ant-", "api03-x7Kq2mPz9RtL4vWn8BsYcD3f")),
            ("npm-token", ("npm_", "x7Kq2mPz9RtL4vWn8BsYcD3fGhJ5kA6eQ1uT")),
            ("json-web-token", ("eyJhbGciOiJIUzI1NiJ9.", "eyJzdWIiOiIxMjM0NTYifQ.", "x7Kq2mPz9RtL4vWn8BsYcD3f")),
            ("url-password", ("postgres://admin:", "kq2mPz9RtL@db.internal/x")),
            ("assigned-secret", ("api_key = '", "x7Kq2mPz9RtL4vWn8BsY'")),
            ("assigned-secret", ('"client_secret": "', 'x7Kq2mPz9RtL4vWn8BsY"')),
        ],
    )
    def test_formats_of_issuers(self, rule: str, parts: tuple[str, ...]) -> None:
        assert secret_in("".join(parts)) == rule

    @pytest.mark.parametrize(
        "line",
        [
            "",
            'password = os.environ["DATABASE_PASSWORD"]',
            'password = "correct horse battery staple"',
            'api_key = "your-api-key-goes-here"',
            'secret = "${SECRET_FROM_VAULT}"',
            "postgres://user:${PASSWORD}@host/db",
            "https://example.com:8080/path@tag",
            "postgres://user:example-password@host/db",
            'token_kind = "access-token-of-the-user"',
            "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
            "def get_secret(self, name: str) -> str:",
            "AKIAlower",
            "task-antenna-sk-anthology-of-everything",
        ],
    )
    def test_what_is_none(self, line: str) -> None:
        assert secret_in(line) == ""

    def test_only_added_lines_and_no_ignored_file(self) -> None:
        line = "AKIA" + "Q3EGRJ7LZ2XK5WNB"
        leaked = change(file("a.py", f"x\n{line}"), file("cassettes/b.yml", line), file("old.py"))
        assert rules("secrets", leaked, GateConfig(not_secret=("cassettes/**",))) == [("aws-access-key", "a.py", 2)]

    @given(st.text(max_size=200))
    def test_entropy_is_at_most_that_of_as_many_different_characters(self, text: str) -> None:
        assert 0 <= entropy(text) <= max(1, len(text)).bit_length()
        assert secret_in(text) in ("", "assigned-secret") or any(c.isalnum() for c in text)


CODE = "\n".join(f"    result_{number} = compute_something_{number}(first, second)" for number in range(30))


class TestDuplication:
    def test_a_copied_function(self) -> None:
        new = file("src/b.py", f"import os\n\ndef g():\n{CODE}", before="")
        tree = {"src/a.py": f"def f():\n{CODE}\n", "src/b.py": "\n".join(text for _, text in new.added)}
        assert rules("duplication", change(new, others=tree)) == [("copied-code", "src/b.py", 4)]
        assert "src/a.py:2" in found("duplication", change(new, others=tree))[0].message

    def test_twice_in_the_same_file(self) -> None:
        text = f"def f():\n{CODE}\n\ndef g():\n{CODE}"
        assert len(rules("duplication", change(file("a.py", text), others={"a.py": text}))) == 2

    def test_what_is_new_is_no_copy(self) -> None:
        assert rules("duplication", change(file("a.py", CODE), others={"a.py": CODE, "b.py": "x = 1\n"})) == []

    def test_few_lines_tests_and_data_are_left_alone(self) -> None:
        short = "\n".join(CODE.split("\n")[: LEAST_LINES - 1])
        for path, text in (("b.py", short), ("tests/b.py", CODE), ("b.json", CODE)):
            tree = {"a.py": CODE, "a.json": CODE, path: text}
            assert rules("duplication", change(file(path, text), others=tree)) == []


class TestDependencies:
    @pytest.mark.parametrize(
        ("path", "line", "lock"),
        [
            ("pyproject.toml", '  "requests>=2,<3",', "uv.lock"),
            ("pyproject.toml", 'requests = "^2.31"', "poetry.lock"),
            ("package.json", '    "left-pad": "^1.3.0",', "package-lock.json"),
            ("web/package.json", '    "left-pad": "1.3.0"', "pnpm-lock.yaml"),
            ("Cargo.toml", 'serde = "1.0"', "Cargo.lock"),
            ("go.mod", "\tgolang.org/x/text v0.14.0", "go.sum"),
        ],
    )
    def test_declared_and_not_locked(self, path: str, line: str, lock: str) -> None:
        tree = {path: line, lock: ""}
        assert rules("dependencies", change(file(path, line), others=tree)) == [("unlocked-dependency", path, 1)]
        assert rules("dependencies", change(file(path, line), file(lock, "x"), others=tree)) == []
        assert rules("dependencies", change(file(path, line), others={path: line})) == []

    @pytest.mark.parametrize(
        ("path", "line"),
        [
            ("pyproject.toml", 'version = "1.2.0"'),
            ("pyproject.toml", "line-length = 120"),
            ("pyproject.toml", 'requires-python = ">=3.11"'),
            ("pyproject.toml", "# requests>=2"),
            ("package.json", '  "version": "1.2.0",'),
            ("package.json", '    "test": "node --test"'),
        ],
    )
    def test_other_settings_are_no_dependencies(self, path: str, line: str) -> None:
        tree = {path: line, "uv.lock": "", "package-lock.json": ""}
        assert rules("dependencies", change(file(path, line), others=tree)) == []


@pytest.fixture
def reader(tmp_path: Path) -> Callable[[dict[str, str | None], str], Change]:
    root = tmp_path / "user"
    make_repository(root, {"a.py": "one\ntwo\nthree\n", "gone.py": "to be removed\n" * 9, "moved.py": CODE})

    def read(files: dict[str, str | None], message: str = "work") -> Change:
        base = git(root, "rev-parse", "HEAD")
        return read_change(pygit2.Repository(str(root)), base, commit_files(root, files, message), ("src/**",))

    return read


def test_a_change_is_read_from_git(reader: Callable[..., Change]) -> None:
    made = reader(
        {"a.py": "one\n2\nthree\nfour\n", "gone.py": None, "new/ü.py": "x\r\ny", "blob": "\0" * 10}, "Say\n\nwhy"
    )
    files = {one.path: one for one in made.files}
    assert files["a.py"].added == ((2, "2"), (4, "four"))
    assert (files["gone.py"].removed, files["gone.py"].size) == (True, 0)
    assert (files["new/ü.py"].before, files["new/ü.py"].added) == ("", ((1, "x"), (2, "y")))
    assert (files["blob"].size, files["blob"].added) == (10, ())
    assert [commit.message for commit in made.commits] == ["Say\n\nwhy\n"]
    assert made.scope == ("src/**",)
    assert dict(made.others())["a.py"] == "one\n2\nthree\nfour\n"


def test_a_moved_file_adds_nothing(reader: Callable[..., Change]) -> None:
    (moved,) = reader({"moved.py": None, "elsewhere.py": CODE}).files
    assert (moved.before, moved.path, moved.added) == ("moved.py", "elsewhere.py", ())


def test_of_a_candidate_the_submitted_commits_count(tmp_path: Path) -> None:
    root = tmp_path / "user"
    make_repository(root, {"a.py": "one\n"})
    repository = pygit2.Repository(str(root))
    base = git(root, "rev-parse", "HEAD")
    first = commit_tree(repository, [base], {"b.py": "1\n"}, "First")
    second = commit_tree(repository, [first], {"b.py": "2\n"}, "Second")
    merge = commit_tree(repository, [base, second], {"b.py": "2\n"}, "Our own")
    made = read_change(repository, base, merge)
    assert [commit.message for commit in made.commits] == ["Second", "First"]
    assert [one.path for one in made.files] == ["b.py"]
