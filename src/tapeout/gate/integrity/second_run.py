"""The same code with other tests: the candidate with the tests of the target branch, the target branch with the tests
of the candidate. Which files those are is a pure decision; the trees are written to git, and no ref moves.

A test that was changed together with the code it tests says nothing about what the code did before. The tests of the
target branch do: if they fail on the candidate, either the change breaks something, or it is meant to, which a person
allows.
"""

from collections.abc import Iterable

import pygit2

from tapeout.base.git import signature
from tapeout.gate.globs import matches
from tapeout.gate.integrity.change import FileChange
from tapeout.gate.integrity.classes import STARTUP, TOOLS, kind_of
from tapeout.gate.integrity.manifests import differences
from tapeout.gate.integrity.privileged import Surroundings

_PROSE = (".md", ".rst", ".adoc")
_AROUND_TESTS = frozenset({STARTUP, TOOLS})


def is_test(file: FileChange, around: Surroundings) -> bool:
    """Whether it is a file of tests: their code, or their data."""
    return matches(file.path, around.tests) and file.suffix not in _PROSE


def is_around_tests(file: FileChange) -> bool:
    """Whether it decides how tests are run."""
    parts = differences(file.name, file.old, file.new)
    if parts is not None:
        return any(part.kind in _AROUND_TESTS for part in parts)
    return file.name == "conftest.py" or kind_of(file.path) in _AROUND_TESTS


def to_restore(files: Iterable[FileChange], around: Surroundings) -> list[FileChange]:
    """The files of a change that the tests of the target branch must find as they are there; none if they do anyway."""
    found = [file for file in files if is_test(file, around) or is_around_tests(file)]
    return found if any(file.before or is_around_tests(file) for file in found) else []


def to_prove(files: Iterable[FileChange], around: Surroundings) -> list[FileChange]:
    """The tests that a change adds or edits; none if it is about nothing else."""
    files = list(files)
    found = [file for file in files if file.after and (is_test(file, around) or is_around_tests(file))]
    is_about_code = any(not (is_test(file, around) or is_around_tests(file)) for file in files)
    return found if is_about_code and any(is_test(file, around) for file in found) else []


def with_files(repository: pygit2.Repository, onto: str, source: str, files: Iterable[FileChange]) -> str:
    """A commit on top of `onto` in which these files are as they are in the commit `source`.

    The same call makes the same commit. Raises `pygit2.GitError` if the files fit into no tree together.
    """
    parent = repository[onto].peel(pygit2.Commit)
    tree = repository[source].peel(pygit2.Commit).tree
    index = pygit2.Index()
    index.read_tree(parent.tree)
    for file in sorted(files, key=lambda one: one.path in tree):  # those that go, first: one may be in another's way
        if file.path in tree:
            found = tree[file.path]
            index.add(pygit2.IndexEntry(file.path, found.id, found.filemode))
        elif file.path in index:
            index.remove(file.path)
    author = signature(at=parent.commit_time)
    message = "The same code with other tests\n"
    return str(repository.create_commit(None, author, author, message, index.write_tree(repository), [parent.id]))
