"""What a repository already checks itself with. Pure: from the contents of its files to checks for `tapeout.toml`.

What the languages' own tools say comes first (`languages`), then hooks, targets of a Makefile and the commands of CI
(`automation`), as far as no check does the same already. Two checks that need no program are always there.
"""

from collections.abc import Mapping

from tapeout.config import CheckConfig
from tapeout.gate.discover.automation import ci_checks, hook_checks, make_checks
from tapeout.gate.discover.languages import go_checks, javascript_checks, python_checks, rust_checks

FILES = (
    "pyproject.toml", "setup.cfg", "tox.ini", "package.json", "Makefile", ".pre-commit-config.yaml", ".gitlab-ci.yml",
)  # fmt: skip
"""Files of the repository's root that discovery reads, where they exist; of others the name says enough."""

WORKFLOWS = ".github/workflows"
"""Folder of whose files discovery reads those that end with `.yml` or `.yaml`."""

_ORDER = (
    "size", "secrets", "commits", "scope", "build", "lint", "types", "complexity", "duplication", "dependencies",
    "custom", "test", "coverage",
)  # fmt: skip


def discover(files: Mapping[str, str], paths: frozenset[str]) -> list[CheckConfig]:
    """Checks for a repository, cheapest first.

    Args:
        files: path to content of those of `FILES` that exist, and of the files of `WORKFLOWS`.
        paths: names of all files and folders in the repository's root.
    """
    found: list[CheckConfig] = []
    for of_language in (python_checks, javascript_checks, go_checks, rust_checks):
        found += of_language(files, paths)
    for of_automation in (hook_checks, make_checks, ci_checks):
        found += of_automation(files, found)
    if found:
        found += [CheckConfig(name=kind, kind=kind) for kind in ("size", "secrets")]
    return sorted(found, key=lambda check: _ORDER.index(check.kind))
