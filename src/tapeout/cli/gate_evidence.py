"""`tapeout gate show` and `tapeout gate verify`: the evidence of landed commits, and whether it is true."""

from __future__ import annotations

import argparse
from typing import Any

from tapeout.base.errors import GateFailed, NotFound, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.output import Result, counted, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pygit2

    from tapeout.cli.commands import Describes
    from tapeout.gate.evidence.verify import Verification

NOT_IN_THE_HUB = "`tapeout gate verify --all` lists what the hub's branch was at, `tapeout publish` brings yours there"
"""What to do about a commit that the hub does not have."""


def add_show(show: Describes) -> None:
    """Arguments of `gate show`."""
    show.add_argument("commit")
    show.add_argument("--dsse", action="store_true", help="print the signed envelope as DSSE has it, and nothing else")
    add_json(show)
    show.set_defaults(run=_show)


def add_verify(verify: Describes) -> None:
    """Arguments of `gate verify`."""
    verify.add_argument("commits", nargs="?", metavar="COMMIT", help="a commit, or a range A..B of the branch")
    verify.add_argument("--all", action="store_true", help="all that main was at since this hub was made")
    verify.add_argument("--rerun", action="store_true", help="run the checks again too, and compare")
    add_json(verify)
    verify.set_defaults(run=_verify)


def _hub() -> pygit2.Repository:
    from tapeout.base.git import ensure_bare

    return ensure_bare(here().paths.hub)


def _commit(hub: pygit2.Repository, revision: str) -> str:
    from tapeout.base.git import commit_named

    return commit_named(hub, revision, "the hub", hint=NOT_IN_THE_HUB)


def _show(arguments: argparse.Namespace) -> Result:
    from tapeout.gate.evidence import read_note
    from tapeout.gate.evidence.seal import dsse

    hub = _hub()
    commit = _commit(hub, arguments.commit)
    note = read_note(hub, commit)
    if note is None:
        raise NotFound(f"{commit[:12]} has no evidence: it did not land through the gate")
    if arguments.dsse:
        if note.envelope is None:
            raise NotFound(f"the evidence of {commit[:12]} is of the first version, which has no envelope")
        import json

        envelope = dsse(note.envelope)
        return Result(envelope, json.dumps(envelope))
    return Result({**note.record, "signed_by": note.sealed_by}, _text(note.record, note.sealed_by))


def _text(record: dict[str, Any], signed_by: str) -> str:
    names = ("candidate", "base", "tree", "issue", "attempt", "change", "run", "at")
    facts = [f"{name:10} {record[name]}" for name in names if record.get(name)]
    given = record.get("checks")
    checks = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    rows = [
        (
            one.get("name"),
            "pass" if one.get("passed") is True else "FAIL",
            f"{one.get('seconds', '?')}s",
            str(one.get("log_digest"))[:12],
            one.get("command"),
        )
        for one in checks
    ]
    sealed = f"{'signed by':10} {signed_by}"
    return "\n".join([*facts, sealed, "", table(("check", "result", "time", "log", "command"), rows)])


def _verify(arguments: argparse.Namespace) -> Result:
    from tapeout.gate.evidence.verify import verify_many

    if arguments.all == (arguments.commits is not None):
        raise UsageError("give either a commit, a range A..B, or --all")
    hub, paths = _hub(), here().paths
    verified = verify_many(hub, paths, _wanted(hub, arguments.commits))
    found = [_rerun(hub, one) if arguments.rerun else one for one in verified]
    problems = [*_problems_of_main(hub, all_of_it=arguments.all), *_problems(found)]
    data = {"commits": [_data(one) for one in found], "problems": problems}
    text = _say(found)
    if not problems:
        return Result(data, f"{text}\n\n{counted(len(found), 'commit')} in order" if text else "nothing to verify")
    if not arguments.json:
        from tapeout.cli.output import printable

        print(printable("\n".join([text, "", *problems])))  # noqa: T201
    raise GateFailed(f"{counted(len(problems), 'problem')} with the evidence", details=data)


def _wanted(hub: pygit2.Repository, commits: str | None) -> Iterable[str]:
    from tapeout.base.git import resolve
    from tapeout.gate.evidence.verify import commits_between, landings
    from tapeout.gate.hub import hub_branch

    if commits is None:
        main = resolve(hub, f"refs/heads/{hub_branch(hub)}")
        if main is None:
            raise NotFound("the hub has no commit yet", hint="run `tapeout hub`, or `tapeout up`")
        return landings(hub, main)
    old, dots, new = commits.partition("..")
    if not dots:
        return [_commit(hub, commits)]
    return commits_between(hub, _commit(hub, old), _commit(hub, new or hub_branch(hub)))


def _problems_of_main(hub: pygit2.Repository, *, all_of_it: bool) -> list[str]:
    """Whether main as a whole is where this hub left it, and the key is nobody else's."""
    from tapeout.base.git import resolve
    from tapeout.gate.evidence.audit import inspect
    from tapeout.gate.evidence.trust import Trust
    from tapeout.gate.hub import hub_branch

    trust, branch = Trust.of(hub), hub_branch(hub)
    open_key = [] if trust.is_private() else [f"others can read the key: chmod 600 {trust.folder}/evidence.key"]
    main = resolve(hub, f"refs/heads/{branch}")
    found = inspect(hub, main, trust, branch) if all_of_it and main is not None else None
    moved = found is not None and not found.strangers
    back = [f"{branch} was moved back or rewritten: {(found.good or '')[:12]} is not in it"] if found and moved else []
    return [*open_key, *back]


def _rerun(hub: pygit2.Repository, one: Verification) -> Verification:
    from dataclasses import replace

    from tapeout.gate.evidence import read_evidence
    from tapeout.gate.evidence.rerun import rerun
    from tapeout.gate.hub import hub_branch

    record = read_evidence(hub, one.commit)
    if one.kind != "landed" or record is None:
        return one
    again = rerun(hub, here().paths, record, one.commit, hub_branch(hub))
    return replace(one, problems=(*one.problems, *again))


def _problems(found: Iterable[Verification]) -> list[str]:
    return [f"{one.commit[:12]}: {problem}" for one in found for problem in one.problems]


def _data(one: Verification) -> dict[str, Any]:
    return {
        "commit": one.commit,
        "kind": one.kind,
        "signed_by": one.sealed_by,
        "good": one.is_good,
        "problems": list(one.problems),
        "remarks": list(one.remarks),
    }


_KINDS = {
    "landed": "landed through the gate",
    "adopted": "adopted: people put it on their branch",
    "before": "from before Tapeout",
    "covered": "landed together with one above it",
    "unvalidated": "NOT validated",
}


def _say(found: Iterable[Verification]) -> str:
    rows = [
        (
            one.commit[:12],
            "ok" if one.is_good else "BAD",
            f"signed by {one.sealed_by}" if one.kind == "landed" else "",
            "; ".join([_KINDS[one.kind], *one.remarks]),
        )
        for one in found
    ]
    return table(("commit", "", "evidence", ""), rows) if rows else ""
