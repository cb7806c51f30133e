"""`tapeout gate prove`: which checks can go red."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import NotFound, UsageError
from tapeout.config import CheckConfig
from tapeout.gate.prove import Proof, prove
from tapeout.gate.prove.plantings import PLACES, Repository, plantings
from tapeout.gate.prove.snippets import SNIPPETS
from tapeout.gate.redness import unproven_checks
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, git

KINDS: list[str] = CheckConfig.model_json_schema()["properties"]["kind"]["enum"]

CODE = {
    "src/sums.py": "def add(a: int, b: int) -> int:\n    return a + b\n",
    "tests/test_sums.py": "import unittest\n\n\nclass Sums(unittest.TestCase):\n"
    "    def test_add(self) -> None:\n        self.assertEqual(1 + 1, 2)\n",
}


def check(name: str, kind: str, run: str, more: str = "") -> str:
    return f"[[check]]\nname = {json.dumps(name)}\nkind = {json.dumps(kind)}\nrun = {json.dumps(run)}\n{more}\n"


UNITTEST = "python3 -m unittest discover -v -s tests"
COMPILE = "python3 -m compileall -q src"


Proofs = Callable[..., dict[str, Proof]]


@pytest.fixture
def proofs(make_site: MakeSite) -> Proofs:
    def run(config: str, files: Mapping[str, str] = CODE, *, every: bool = False) -> dict[str, Proof]:
        site = make_site(config, **{name.replace("/", "__"): text for name, text in files.items()})
        return {one.check: one for one in prove(site.paths, site.repository, "HEAD", every=every)}

    return run


def site_of(make_site: MakeSite, config: str) -> Site:
    return make_site(config, **{name.replace("/", "__"): text for name, text in CODE.items()})


def test_checks_that_can_go_red_are_proven(proofs: Proofs) -> None:
    found = proofs(check("unit", "test", UNITTEST) + check("compile", "build", COMPILE))
    assert found["unit"].proven
    assert found["unit"].trials[0].defect == "failing assertion"
    assert "exit code 1" in found["unit"].trials[-1].reason
    assert found["compile"].proven
    assert found["compile"].trials[-1].defect == "syntax error"


def test_a_swallowed_exit_code_is_found_out(proofs: Proofs) -> None:
    found = proofs(check("unit", "test", f"{UNITTEST} || true"))
    assert not found["unit"].proven
    assert {trial.defect for trial in found["unit"].trials} >= {"failing assertion", "syntax error"}
    assert not any(trial.seen for trial in found["unit"].trials)


def test_a_check_that_looks_elsewhere_is_found_out(proofs: Proofs) -> None:
    found = proofs(check("compile", "build", "python3 -m compileall -q docs"), CODE | {"docs/index.md": "# Sums\n"})
    assert not found["compile"].proven


def test_a_scanner_for_secrets_sees_a_leaked_key(proofs: Proofs) -> None:
    found = proofs(check("keys", "secrets", "! grep -rE 'AKIA[0-9A-Z]{16}' --include=*.py ."))
    assert found["keys"].trials[-1].defect == "access key"
    assert found["keys"].proven


def test_a_limit_of_sizes_and_a_rule_for_messages_are_proven(proofs: Proofs) -> None:
    found = proofs(
        check("size", "size", 'test -z "$(find . -size +20M)"')
        + check("words", "commits", "test $(git log -1 --format=%s | wc -c) -gt 2")
    )
    assert found["size"].proven
    assert found["words"].proven


def test_built_in_checks_are_proven(proofs: Proofs) -> None:
    kinds = ("size", "secrets", "commits", "scope", "duplication", "dependencies")
    long = "\n".join(f"def f{n}(x: int) -> int:\n    return x * {n} + len(str({n} + x))\n" for n in range(20))
    files = CODE | {"src/long.py": long, "pyproject.toml": "[project]\nname = 'x'\n", "uv.lock": "x\n"}
    found = proofs("".join(f"[[check]]\nname = '{kind}'\nkind = '{kind}'\n" for kind in kinds), files)
    assert [kind for kind in kinds if not found[kind].proven] == []


def test_a_check_of_ones_own_is_proven_by_ones_own_defect(proofs: Proofs) -> None:
    run = "! grep -r forbidden src"
    config = check("words", "custom", run, "defect = \"echo 'x = 1  # forbidden' >> src/sums.py\"")
    assert proofs(config)["words"].trials[0].seen
    assert not proofs(check("words", "custom", run))["words"].proven


def test_what_is_red_already_is_not_called_proven(proofs: Proofs) -> None:
    found = proofs(check("unit", "test", "echo 3 passed; exit 1"))
    assert not found["unit"].proven
    assert "is red on the code as it is" in found["unit"].obstacle


def _of_the_home(secret: Path) -> str:
    """A check that is red once the file of somebody's home is among the files."""
    return f"if test -e {secret.name}; then echo stolen; exit 1; fi"


@pytest.mark.parametrize(
    "defect",
    [
        "git config core.worktree {home}",
        "rm -rf .git; echo 'gitdir: {home}/.git' > .git",
        "cd ..; mv planting away; ln -s {home} planting",
        "git init -q inner; git -C inner config core.worktree {home}",
    ],
)
def test_a_defect_brings_nothing_in_from_outside_of_the_copy(make_site: MakeSite, tmp_path: Path, defect: str) -> None:
    home = tmp_path / "person"
    home.mkdir()
    git(home, "init", "-q")
    (home / "secret.txt").write_text("key\n")
    planted = f"defect = {json.dumps(defect.format(home=home))}"
    site = site_of(make_site, check("thief", "custom", _of_the_home(home / "secret.txt"), planted))
    try:
        (found,) = prove(site.paths, site.repository, "HEAD")
    except UsageError:
        return
    assert not found.proven


@pytest.mark.parametrize("kind", ["build", "lint", "types"])
def test_a_package_that_is_one_file_is_planted_into(kind: str) -> None:
    """As small libraries are: all of the code stands in `__init__.py`."""
    package, module = "src/sums/__init__.py", "src/sums/more.py"
    alone = Repository((package,), lambda path: b"x = 1\n", ())
    assert {planting.path for planting in plantings(kind, "tool", alone)} == {package}
    both = Repository((package, module), lambda path: b"x = 1\n", ())
    assert {planting.path for planting in plantings(kind, "tool", both)} == {module}


def test_where_no_defect_is_known_that_is_said(proofs: Proofs) -> None:
    found = proofs(check("prose", "lint", "true"), {"README.md": "hello\n"})
    assert "no defect is known" in found["prose"].obstacle


def test_all_defects_are_planted_on_request(proofs: Proofs) -> None:
    found = proofs(check("compile", "build", COMPILE), every=True)
    assert len(found["compile"].trials) == 1
    assert len(proofs(check("unit", "test", UNITTEST), every=True)["unit"].trials) > 2


def test_the_users_repository_stays_as_it_is(make_site: MakeSite) -> None:
    site = site_of(make_site, check("unit", "test", UNITTEST, "defect = 'echo x > planted.txt'"))
    before = git(site.root, "count-objects", "-v"), git(site.root, "for-each-ref"), git(site.root, "status", "-s")
    prove(site.paths, site.repository, "HEAD", every=True)
    assert (
        git(site.root, "count-objects", "-v"),
        git(site.root, "for-each-ref"),
        git(site.root, "status", "-s"),
    ) == before


def test_a_check_is_unproven_until_it_was_seen_red(make_site: MakeSite) -> None:
    site = site_of(make_site, check("unit", "test", UNITTEST) + check("compile", "build", COMPILE))
    assert unproven_checks(site.paths) == ["unit", "compile"]
    prove(site.paths, site.repository, "HEAD", names=("compile",))
    assert unproven_checks(site.paths) == ["unit"]
    # Daily work proves too.
    site.submit({"src/broken.py": "x = 1\n", "tests/test_broken.py": "raise RuntimeError\n"})
    site.run()
    assert unproven_checks(site.paths) == []


def test_a_check_with_another_command_is_another_check(make_site: MakeSite) -> None:
    site = site_of(make_site, check("compile", "build", COMPILE))
    prove(site.paths, site.repository, "HEAD")
    assert unproven_checks(site.paths) == []
    (site.root / "tapeout.toml").write_text(check("compile", "build", f"{COMPILE} || true"))
    git(site.root, "commit", "-qam", "Loosen")
    site.run()
    assert unproven_checks(site.paths) == ["compile"]


def test_an_unreadable_memory_proves_nothing(make_site: MakeSite) -> None:
    site = site_of(make_site, check("compile", "build", COMPILE))
    for text in ("", "[]", "null", '{"a": "b"}', "\x00"):
        Path(site.paths.root, "red.json").write_text(text)
        assert unproven_checks(site.paths) == ["compile"]
    prove(site.paths, site.repository, "HEAD")
    assert unproven_checks(site.paths) == []


def test_a_name_or_a_commit_that_does_not_exist(make_site: MakeSite) -> None:
    site = site_of(make_site, check("compile", "build", COMPILE))
    with pytest.raises(UsageError, match="there is no check 'unit'"):
        prove(site.paths, site.repository, "HEAD", names=("unit",))
    with pytest.raises(NotFound, match="is no commit of"):
        prove(site.paths, site.repository, "v9")


SUFFIXES = sorted(SNIPPETS)
PATHS = st.lists(
    st.builds(
        lambda folder, name, suffix: f"{folder}/{name}{suffix}",
        st.sampled_from(["src", "lib", "tests", "src/deep/er"]),
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from([*SUFFIXES, ".md"]),
    ),
    unique=True,
    max_size=12,
)


@given(st.sampled_from(KINDS), PATHS, st.sampled_from(["make check", "pytest tests/a.py", "tool src", ""]))
def test_defects_go_where_the_check_may_look(kind: str, paths: list[str], command: str) -> None:
    repository = Repository(paths, lambda path: f"// {path}\n".encode(), ("tests/**",))
    found = list(plantings(kind, command, repository))
    for planting in found:
        if planting.path in paths:
            assert planting.content.startswith(repository.read(planting.path).rstrip())
            assert len(planting.content) > len(repository.read(planting.path))
        else:
            assert "tapeout_planted" in planting.path
    for defect in {planting.defect for planting in found}:
        assert len({p.path for p in found if p.defect == defect}) <= PLACES * len(SUFFIXES)
    if any(path.endswith(".py") and path.startswith("src") for path in paths) and kind != "commits":
        assert found


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("size", "commits", "secrets", "scope")])
def test_every_language_has_a_defect_of_every_kind(kind: str, suffix: str) -> None:
    repository = Repository([f"src/a{suffix}", f"tests/b{suffix}"], lambda _: b"x\n", ("tests/**",))
    if kind == "dependencies" and suffix in (".go", ".rs"):
        return  # an import that is not declared does not compile there: a build check sees it
    assert list(plantings(kind, "", repository))


def test_defects_in_what_the_command_names_come_first() -> None:
    repository = Repository(["a/x.py", "b/y.py", "b/z.py"], lambda _: b"x = 1\n", ("tests/**",))
    assert next(iter(plantings("lint", "ruff check b", repository))).path == "b/y.py"
    assert next(iter(plantings("lint", "ruff check b/z.py", repository))).path == "b/z.py"
