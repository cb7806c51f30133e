"""The JSON Schema of what commands print with `--json`, made from the types in the code."""

import ast
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from tapeout.cli.issue_dep import KINDS
from tapeout.floor import status
from tapeout.floor.context import curve
from tapeout.floor.prompting import CompiledPrompt
from tapeout.gate import queuestatus
from tapeout.gate.prove import Proof
from tapeout.tracker import fields, model, queries
from tapeout.tracker.commands import finding, reports
from tapeout.tracker.history import entries, undo
from tapeout.tracker.prime import digest, primer
from tapeout.tracker.reports import failures, figures, reasons
from tapeout.tracker.sharing import sync
from tapeout.tracker.transfer import folder, imports

Schema = dict[str, Any]

OPEN_STATES = ("ready", "leased", "blocked", "deferred", "needs-person", "not-needed")
"""What `Issue.state` says of an open issue; of a closed one it says how it was closed."""

STREAMS = ("issue", "epic", "hit", "obstacle", "event", "transcript")
"""What the rows of `--jsonl` can be."""

_LIMITS: dict[tuple[str, str], Schema] = {
    ("Issue", "priority"): {"minimum": 0, "maximum": 4},
    ("Issue", "open_blockers"): {"minimum": 0},
    ("Issue", "lease_token"): {"minimum": 0},
    ("Attempt", "number"): {"minimum": 1},
    ("Attempt", "state"): {"enum": ["starting", "working", "submitted", "ended"]},
}
"""What the types do not say."""


class Definitions:
    """Named schemas, made when they are first asked for."""

    def __init__(self) -> None:
        self.known: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type."""
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        if kind is Any or kind is object:
            return {}
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (typing.Union, types.UnionType):
            return _any_of([self.of(one) for one in arguments])
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object"}
        name = kind.__name__[0].lower() + kind.__name__[1:]
        if name not in self.known:
            self.known[name] = {}  # a type may hold itself
            self.known[name] = self.object(kind)
        return {"$ref": f"#/$defs/{name}"}

    def object(self, kind: type, /, **more: Schema) -> Schema:
        """A NamedTuple or dataclass as an object that has all of its fields, and more."""
        node = _class_node(kind)
        docs, names = dict(_documented(node)), _names(kind)
        properties = {}
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                name = field.target.id
                # From the source: what the tracker's modules have instead of `typing` is nothing to look into.
                hint = eval(ast.unparse(field.annotation), names)  # noqa: S307
                properties[name] = self.of(hint) | _LIMITS.get((kind.__name__, name), {})
                if name in docs:
                    properties[name]["description"] = docs[name]
        properties |= more
        summary = " ".join((inspect.getdoc(kind) or "").split())
        return {"description": summary, **_object(properties)}


_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _any_of(schemas: list[Schema]) -> Schema:
    """One of several; written short where that is possible."""
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    if all(schema.keys() == {"enum"} or schema == {"type": "null"} for schema in schemas):
        return {"enum": [value for schema in schemas for value in schema.get("enum", [None])]}
    return {"anyOf": schemas}


def _class_node(kind: type) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)


def _names(kind: type) -> dict[str, Any]:
    """What the annotations of a class can name."""
    return {**vars(sys.modules[kind.__module__]), **vars(typing), **_aliases()}


def _aliases() -> dict[str, Any]:
    """The names that the model gives to sets of words, such as `Resolution`."""
    found: dict[str, Any] = {}
    for node in ast.parse(inspect.getsource(model)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Literal["):
            found[ast.unparse(node.targets[0])] = eval(ast.unparse(node.value), vars(typing))  # noqa: S307
    return found


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(node.body, node.body[1:], strict=False):
        is_field = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if is_field and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield field.target.id, " ".join(str(text.value.value).split())


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _text() -> Schema:
    return {"type": "string"}


_FREE_SETTING: dict[str, Schema] = {"actor": {"type": "string"}, "at": {"type": "number"}}

_FREE: Schema = {"type": "object"}
"""Not described further."""


def _definitions() -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Named schemas, and command to the schema of its data."""
    made = Definitions()
    state = {"enum": [*OPEN_STATES, *get_args(_aliases()["Resolution"]), "closed"]}
    issue_lists: dict[str, Any] = {
        "dependencies": model.Dependency, "attachments": model.Attachment, "comments": model.Comment,
        "attempts": model.Attempt, "changes": model.Change,
    }  # fmt: skip
    named: dict[str, Schema] = {
        "error": _ERROR,
        "listedIssue": made.object(model.Issue, state=state),
        "shownIssue": made.object(
            model.Issue,
            state=state,
            **{name: _list(made.of(kind)) for name, kind in issue_lists.items()},
            permissions=_list(_text()),
            children=_list(_object({"id": _text(), "title": _text(), "state": _text()})),
            progress={
                "description": "Of its children; null where it has none and is no epic.",
                "anyOf": [_object({"closed": {"type": "integer"}, "total": {"type": "integer"}}), {"type": "null"}],
            },
        ),
        "link": {
            **made.object(model.Dependency, kind={"enum": list(KINDS)}),
            "description": "A dependency, or with the kind parent an issue and its parent.",
        },
        "hit": made.object(finding.Hit, issue={"$ref": "#/$defs/listedIssue"}),
        "epic": made.object(reports.Epic, percent={"type": "integer"}, closable={"type": "boolean"}),
        "verdict": _VERDICT,
        "run": {
            **_object({
                "outcomes": _list(made.of(status.IssueOutcome)), "landed": {"type": "integer"},
                "first_pass": {"type": "integer"}, "given_up": {"type": "integer"},
                "first_pass_yield": {"type": ["number", "null"]}, "seconds": {"type": "number"},
                "unpublished": {"description": "Why landed commits are not where they belong.",
                                "type": ["string", "null"]},
                "over_budget": {"description": "The budget of the run that ended it.", "type": ["string", "null"]},
            }),
            "description": "What tapeout up prints at its end.",
            "additionalProperties": True,
        },
    }  # fmt: skip
    issue, shown = {"$ref": "#/$defs/listedIssue"}, {"$ref": "#/$defs/shownIssue"}
    verdict, run = {"$ref": "#/$defs/verdict"}, {"$ref": "#/$defs/run"}
    lease = made.of(model.Lease)
    failure = {"check": _text(), "test": _text(), "failure": _text()}
    counts = made.object(queries.Counts)["properties"]
    commands: dict[str, Schema] = {
        "issue new": {"anyOf": [issue, _list(issue)]},
        "issue list": _list(issue),
        "issue show": shown,
        **{f"issue {verb}": {"anyOf": [issue, _list(issue)]} for verb in ("edit", "close", "reopen")},
        "issue comment": {"anyOf": [made.of(model.Comment), _list(made.of(model.Comment))]},
        "issue dep add": {"$ref": "#/$defs/link"},
        "issue dep remove": {"$ref": "#/$defs/link"},
        "issue dep list": _list({"$ref": "#/$defs/link"}),
        "issue allow": _object({"issue": _text(), "permissions": _list(_text())}),
        "issue history": _list(made.of(entries.Entry)),
        "issue blame": made.object(
            entries.Blame, lines=_list(_object({"line": _text(), **_FREE_SETTING}) | {"additionalProperties": True})
        ),
        "issue undo": {"anyOf": [made.of(undo.Act), _list(made.of(undo.Act))]},
        **{f"issue {verb}": made.of(model.Attachment) for verb in ("attach", "detach")},
        "issue attachments": _list(made.of(model.Attachment)),
        "issue attachment": made.object(model.Attachment, file=_text()),
        "ready": _list(issue),
        "blocked": _list(made.of(reasons.Obstacle)),
        "stale": _list(issue),
        "search": _list({"$ref": "#/$defs/hit"}),
        "issue epics": _list({"$ref": "#/$defs/epic"}),
        "stats": made.of(figures.Statistics),
        "context": _object({"verdicts": {"type": "integer"}, "curves": _list(made.of(curve.Curve))}),
        "graph": _FREE,
        "prime": made.of(primer.Primer),
        "digest": made.of(digest.Digest),
        "plan": _object({"file": _text(), "issues": _list(made.of(fields.Draft)), "filed": _list(_text())}),
        "prompt": made.object(CompiledPrompt, issue=_text(), attempt={"type": "integer"}),
        "claim": lease,
        "renew": lease,
        "release": _object({"issue": _text()}),
        "failures": {"anyOf": [
            _list(made.object(failures.FailureCount, **failure)),
            _object({
                "signature": _text(), **failure,
                "attempts": _list(_object({
                    "issue": _text(), "title": _text(), "attempt": _text(), "number": {"type": "integer"},
                    "agent": _text(), "landed_commit": {"type": ["string", "null"]}, "rounds": {"type": "integer"},
                    "tried": _list(_text()),
                })),
                "solutions": _list(_object({
                    "issue": _text(), "title": _text(), "commit": _text(), "files": _list(_text()),
                    "gist": _list(_text()),
                })),
            }),
        ]},
        "sync": {"anyOf": [made.of(sync.SyncReport), _object({"bundle": _text(), "logs": {"type": "integer"}})]},
        "status": made.object(status.Status, unproven=_list(_text()), sandbox_warning=_text()),
        "queue": made.of(queuestatus.QueueStatus),
        "logs": _list({"anyOf": [made.of(model.Event), _FREE]}),
        "doctor": {"anyOf": [
            {"type": "object", "properties": counts, "required": list(counts)},
            _object({"operations": {"type": "integer"}}),
        ]},
        "import": made.object(imports.Report, dry_run={"type": "boolean"}),
        "export": _object({"issues": {"type": "integer"}, "file": _text()}),
        "snapshot": made.of(folder.Done),
        "gc": _list(_FREE),
        "up": {"anyOf": [run, _object({"pid": {"type": "integer"}, "log": _text()})]},
        "demo": run,
        "stop": _object({"pid": {"type": "integer"}}),
        "workers": _list(made.of(status.WorkerRow)),
        **{name: made.of(model.Order) for name in ("nudge", "handoff")},
        "pause": {"anyOf": [made.of(model.Order), _object({"attempts": _list(_text())})]},
        "resume": {"anyOf": [
            made.of(model.Order), _object({"attempts": _list(_text())}), _object({"provider": _text()}),
        ]},
        "kill": made.object(model.Order, outcome={"type": ["string", "null"]}),
        "questions": _list(made.of(model.Question)),
        "answer": made.of(model.Question),
        "init": _object({"file": _text(), "checks": _list(_text()), "red": {"type": "object"}}),
        "agents": _list(_FREE),
        "gate run": verdict,
        "gate prove": _object({"checks": _list(made.object(Proof, proven={"type": "boolean"}))}),
        "gate show": _FREE,
        "gate export": _object({
            "run": _text(), "commit": _text(), "findings": {"type": "integer"}, "tests": {"type": "integer"},
        }),
        "gate verify": _object({"commits": _list(_object({
            "commit": _text(), "kind": {"enum": ["landed", "adopted", "before", "covered", "unvalidated"]},
            "signed_by": {"enum": ["this hub", "another hub", "nobody"]}, "good": {"type": "boolean"},
            "problems": _list(_text()), "remarks": _list(_text()),
        })), "problems": _list(_text())}),
        "hub": {"anyOf": [
            _object({name: _text() for name in ("path", "branch", "commit", "ref", "push")}),
            _object({"branch": _text(), "commit": _text()}),
        ]},
        "publish": _object({"published": {"type": ["string", "null"]}}),
        "completion": _object({"script": _text()}),
    }  # fmt: skip
    return {**made.known, **named}, commands


_ERROR: Schema = {
    "description": "Why the command failed; code and exit are listed in exit-codes.md.",
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "exit": {"type": "integer", "minimum": 1},
        "message": {"type": "string"},
        "hint": {"type": ["string", "null"]},
        "details": {
            "description": "For gate-failed: the verdict, or the proofs. For lost-claim: who holds it until when."
        },
    },
    "required": ["code", "exit", "message", "hint"],
    "additionalProperties": False,
    "if": {"properties": {"code": {"const": "lost-claim"}}},
    "then": {
        "required": ["details"],
        "properties": {
            "details": {
                "type": "object",
                "properties": {
                    "issue": {"type": "string"},
                    "owner": {"type": ["string", "null"], "description": "Null: nobody holds it now."},
                    "expires": {"type": ["number", "null"]},
                },
                "required": ["issue", "owner", "expires"],
            }
        },
    },
}

_VERDICT = _object({
    "passed": {"type": "boolean"},
    "reason": _text(),
    "findings": _list(_object({"check": _text(), "reason": _text(), "excerpt": _text()})),
    "notes": _list(_text()),
    "run": _text(),
    "tree": _text(),
    "seconds": {"type": "number"},
    "sandbox": _text(),
}) | {"required": ["passed", "reason", "findings", "run", "tree", "seconds", "sandbox"]}  # fmt: skip


def envelope_schema() -> Schema:
    """The schema of the envelope. `$defs` has the data of each command, such as `data-issue-show`."""
    named, commands = _definitions()
    data = {
        f"data-{name.replace(' ', '-')}": {"title": f"data of tapeout {name}", **schema}
        for name, schema in commands.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What a tapeout command prints with --json",
        "description": "One object on one line of standard output, for success and failure alike. The data of each"
        " command is in $defs under its name, such as data-issue-show. Times are Unix seconds.",
        "oneOf": [
            _object({"schema": {"const": 1}, "ok": {"const": True}, "data": {"type": ["object", "array"]}}),
            _object({"schema": {"const": 1}, "ok": {"const": False}, "error": {"$ref": "#/$defs/error"}}),
            {
                "description": "The first line of --jsonl; the rows follow.",
                **_object({"schema": {"const": 1}, "ok": {"const": True}, "kind": {"enum": list(STREAMS)}}),
            },
        ],
        "$defs": dict(sorted({**named, **data}.items())),
    }
