"""What discovery finds in a repository: the checks that it has already, and no crash whatever is in its files."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.gate.discover import FILES, WORKFLOWS, discover


def found(files: Mapping[str, str], *more: str) -> dict[str, str]:
    """Name of a check to its kind and command; those that need no program are always there."""
    read = {name: text for name, text in files.items() if name in FILES or name.startswith(WORKFLOWS)}
    checks = discover(read, frozenset([*(name.split("/", 1)[0] for name in files), *more]))
    assert [check.name for check in checks if check.run is None] == (["size", "secrets"] if checks else [])
    return {check.name: f"{check.kind}: {check.run}" for check in checks if check.run is not None}


def test_an_empty_repository_has_no_check() -> None:
    assert found({}) == {}


def test_a_python_project_with_tools_in_pyproject() -> None:
    text = (
        '[project]\nname = "x"\n[dependency-groups]\ndev = ["pytest>=8"]\n[tool.ruff]\n[tool.mypy]\nfiles = ["src"]\n'
    )
    assert found({"pyproject.toml": text}) == {
        "ruff": "lint: ruff check .",
        "mypy": "types: mypy",
        "tests": "test: python3 -m pytest -q",
    }


def test_tools_with_files_of_their_own() -> None:
    files = {"setup.cfg": "[metadata]\nname = x\n", "mypy.ini": "[mypy]\n", ".flake8": "[flake8]\n", "conftest.py": ""}
    assert found(files) == {
        "flake8": "lint: flake8",
        "mypy": "types: mypy .",
        "tests": "test: python3 -m pytest -q",
    }
    assert "ruff" in found({"pyproject.toml": "[project]\n", "ruff.toml": ""})


@pytest.mark.parametrize("folder", ["tests", "test"])
def test_a_python_project_without_pytest_uses_unittest(folder: str) -> None:
    assert found({"setup.py": ""}, folder) == {"tests": f"test: python3 -m unittest discover -s {folder} -t ."}


@pytest.mark.parametrize(
    ("lock", "prefix"),
    [
        ("package-lock.json", "npm ci && npm run"),
        ("yarn.lock", "yarn install && yarn run"),
        ("pnpm-lock.yaml", "pnpm install && pnpm run"),
        ("README.md", "npm install && npm run"),
    ],
)
def test_a_javascript_project_uses_its_own_manager_and_scripts(lock: str, prefix: str) -> None:
    scripts = {"build": "tsc", "lint": "eslint .", "typecheck": "tsc --noEmit", "test": "vitest", "start": "node ."}
    checks = found({"package.json": json.dumps({"scripts": scripts})}, lock)
    assert list(checks.values()) == [
        f"build: {prefix} build",
        f"lint: {prefix} lint",
        f"types: {prefix} typecheck",
        f"test: {prefix} test",
    ]
    assert {name.partition("-")[0] for name in checks} == {prefix.partition(" ")[0]}


def test_the_test_script_that_npm_init_writes_is_no_test() -> None:
    text = json.dumps({"scripts": {"test": 'echo "Error: no test specified" && exit 1'}})
    assert found({"package.json": text}) == {}


def test_go_and_rust_projects() -> None:
    assert list(found({"go.mod": "module x\n", "Cargo.toml": "[package]\n"})) == [
        "go-build",
        "go-vet",
        "cargo-clippy",
        "go-test",
        "cargo-test",
    ]


def test_a_makefile_is_used_where_nothing_else_tests() -> None:
    makefile = "CHECK := 1\nall: build\ntest: all\n\tmake it\n"
    assert found({"Makefile": makefile}) == {"make-test": "test: make test"}
    assert found({"Makefile": f"{makefile}check: test\n"}) == {"make-check": "test: make check"}
    assert found({"Makefile": "test := 1\n"}) == {}
    assert "make-test" not in found({"Makefile": makefile, "go.mod": ""})


def test_a_makefile_adds_the_kinds_that_are_missing() -> None:
    makefile = "lint:\n\truff\ntypecheck:\n\tmypy\ntest:\n\tpytest\n"
    assert found({"Makefile": makefile, "pyproject.toml": "[tool.ruff]\n[tool.pytest.ini_options]\n"}) == {
        "ruff": "lint: ruff check .",
        "make-typecheck": "types: make typecheck",
        "tests": "test: python3 -m pytest -q",
    }


def test_formatters_and_linters_with_settings() -> None:
    assert "ruff-format" in found({"pyproject.toml": "[tool.ruff.format]\n"})
    assert found({"package.json": "{}", "tsconfig.json": "{}", "eslint.config.js": ""}) == {
        "tsc": "types: npm install && npx --no-install tsc --noEmit",
        "eslint": "lint: npm install && npx --no-install eslint .",
    }
    assert found({"go.mod": "", ".golangci.yml": ""})["golangci-lint"] == "lint: golangci-lint run"
    assert found({"Cargo.toml": "", "rustfmt.toml": ""})["cargo-fmt"] == "lint: cargo fmt --check"
    assert found({"pyproject.toml": "[tool.pyright]\n"}) == {"pyright": "types: pyright"}


def test_hooks_run_through_prek() -> None:
    hooks = "repos:\n- repo: local\n  hooks:\n  - id: x\n"
    assert found({".pre-commit-config.yaml": hooks}) == {"hooks": "lint: prek run --all-files"}
    (check,) = (one for one in discover({".pre-commit-config.yaml": hooks}, frozenset()) if one.run)
    assert not check.network
    for fetched in (
        "- repo: https://example.com/hooks\n  rev: v1",
        "- repo: local\n  hooks: [{id: x, language: python}]",
    ):
        (check,) = (
            one for one in discover({".pre-commit-config.yaml": f"repos:\n{fetched}\n"}, frozenset()) if one.run
        )
        assert check.network
    for nothing in ("", "repos: []", "repos: 3", "[", "- a"):
        assert found({".pre-commit-config.yaml": nothing}) == {}


WORKFLOW = """
on: [push]
jobs:
  check:
    strategy: {matrix: {python: ["3.11", "3.12"]}}
    steps:
    - uses: actions/checkout@v4
    - run: pip install -e .[dev]
    - name: Lint
      run: |
        uv run ruff check src \\
          tests
        python -m mypy --strict src
    - run: pytest -q --cov=src --cov-report=xml
    - run: pytest ${{ matrix.extra }}
    - run: codecov upload
  js:
    steps:
    - run: npm ci
    - run: npx prettier . --check
"""


def test_commands_of_ci_that_check_something() -> None:
    assert found({f"{WORKFLOWS}/ci.yml": WORKFLOW}) == {
        "ruff": "lint: uv run ruff check src tests",
        "prettier": "lint: npx prettier . --check",
        "mypy": "types: python -m mypy --strict src",
        "tests": "test: pytest -q --cov=src --cov-report=xml",
    }
    assert found({".gitlab-ci.yml": "test:\n  script:\n  - go test -race ./...\n"}) == {
        "go-test": "test: go test -race ./..."
    }


def test_what_a_language_checks_already_is_not_taken_from_ci_again() -> None:
    files = {"pyproject.toml": "[tool.ruff]\n[tool.pytest.ini_options]\n", f"{WORKFLOWS}/ci.yml": WORKFLOW}
    assert found(files) == {
        "ruff": "lint: ruff check .",
        "prettier": "lint: npx prettier . --check",
        "mypy": "types: python -m mypy --strict src",
        "tests": "test: python3 -m pytest -q",
    }


def test_a_file_of_aliases_of_aliases() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    assert found({f"{WORKFLOWS}/ci.yml": "\n".join([*lines, "run: pytest"])}) == {"tests": "test: pytest"}


def test_dates_and_odd_tables_in_pyproject() -> None:
    """Both are valid TOML; some tools write dates."""
    dated = '[tool.uv]\nexclude-newer = 2026-01-01T00:00:00Z\n[dependency-groups]\ndev = ["pytest"]\n'
    assert "tests" in found({"pyproject.toml": dated})
    assert found({"pyproject.toml": "tool = 3\n"}) == {}
    assert found({"pyproject.toml": "[tool]\nmypy = 3\n"}) == {"mypy": "types: mypy ."}


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["scripts", "test", "lint", "x"]), inner, max_size=3)
    ),
)
DEEP = "[" * 5000
CONTENT = st.text(max_size=60) | JSON.map(json.dumps) | st.just(DEEP)


@given(st.dictionaries(st.sampled_from(FILES), CONTENT), st.sets(st.sampled_from(["tests", "yarn.lock", "go.mod"])))
def test_no_content_of_a_file_makes_it_fail(files: dict[str, str], more: set[str]) -> None:
    checks = discover(files, frozenset(files) | more)
    assert len({check.name for check in checks}) == len(checks)


@pytest.mark.parametrize(
    "value",
    [
        "!!bool maybe",
        '!!int ""',
        '!!float ""',
        "!!timestamp never",
        "1" + ":1" * 10_000,
        "!!python/object/apply:os.abort []",
    ],
)
def test_odd_values_in_a_pipeline_hide_nothing(value: str) -> None:
    pipeline = f"odd: {value}\njobs: {{a: {{steps: [{{run: mypy src}}]}}}}\n"
    assert found({".github/workflows/ci.yml": pipeline}) == {"mypy": "types: mypy src"}


def test_merges_of_merges_do_not_eat_all_memory() -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
    )
    assert found({".github/workflows/ci.yml": f"{bomb}b: {{run: mypy src}}\n"}) == {"mypy": "types: mypy src"}
