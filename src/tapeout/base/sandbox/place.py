"""A policy on this file system: links are followed, what does not exist is left out."""

import os

from tapeout.base.sandbox.policy import Policy, Step, is_below, ordered

NEVER_HIDDEN = frozenset(
    {"/", "/bin", "/dev", "/etc", "/lib", "/lib64", "/nix", "/opt", "/proc", "/sys", "/usr", "/var"}
)
"""A user without a home of its own may have one of these as home; without them nothing runs."""


def placed(policy: Policy) -> list[Step]:
    """The rules of a policy for the paths that exist, outer folders first."""
    hidden = [path for path in map(os.path.realpath, policy.hidden) if path not in NEVER_HIDDEN]
    replaced = [(os.path.realpath(target), os.path.realpath(source)) for target, source in policy.replaced]
    covered = [*hidden, *(target for target, _ in replaced)]
    steps = [Step("hide" if os.path.isdir(path) else "hide-file", path) for path in hidden if os.path.exists(path)]
    steps += [Step("replace", target, source) for target, source in replaced if os.path.isdir(target)]
    for path in policy.readable:
        steps += _links(path, covered)
        if os.path.exists(path):
            steps.append(Step("show", os.path.realpath(path)))
    steps += [Step("write", os.path.realpath(path)) for path in policy.writable if os.path.exists(path)]
    return ordered(steps)


def _links(path: str, covered: list[str]) -> list[Step]:
    """The symbolic links on the way to a path that lie in what is hidden, so that the path still leads there."""
    links, at = [], "/"
    for part in os.path.abspath(path).split("/")[1:]:
        below = os.path.join(at, part)
        if os.path.islink(below) and any(is_below(below, folder) for folder in covered):
            links.append(Step("link", below, os.readlink(below)))
        at = os.path.realpath(below)
    return links
