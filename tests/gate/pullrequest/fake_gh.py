"""A `gh` of pull requests whose forge is a file, beside a bare repository. Run as a program by the tests.

It is as strict as GitHub where that matters: one open pull request of a branch, only of a branch that is there and has
commits of its own.
"""

# ruff: noqa: T201
import fcntl
import json
import os
import subprocess
import sys
from typing import Any

URL = "https://forge.example/ada/work/pull/{}"


def main() -> int:
    folder = os.environ["FAKE_GH"]
    action, arguments = sys.argv[2], sys.argv[3:]
    body = sys.stdin.read()
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(os.path.join(folder, "calls.jsonl"), "a") as calls:
            print(json.dumps({"arguments": sys.argv[1:], "body": body, "environment": dict(os.environ)}), file=calls)
        with open(os.path.join(folder, "state.json")) as file:
            state = json.load(file)
        fails = state["fails"].get(action)
        if fails and not state.get("lost_answer"):
            print(fails, file=sys.stderr)
            return 4
        code = ACTIONS[action](folder, state, arguments, body)
        with open(os.path.join(folder, "state.json.new"), "w") as file:
            json.dump(state, file)
        os.replace(os.path.join(folder, "state.json.new"), os.path.join(folder, "state.json"))
    if fails:
        print(fails, file=sys.stderr)
        return 1
    return code


def option(arguments: list[str], name: str) -> str:
    return next(one.partition("=")[2] for one in arguments if one.startswith(f"--{name}="))


def commit_of(folder: str, branch: str) -> str:
    remote = os.path.join(folder, "remote.git")
    done = subprocess.run(
        ["git", f"--git-dir={remote}", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def refresh(folder: str, state: dict[str, Any]) -> None:
    for one in state["requests"]:
        if one["state"] == "OPEN" and not one["isCrossRepository"]:
            one["headRefOid"] = commit_of(folder, one["head"]) or one["headRefOid"]


def list_requests(folder: str, state: dict[str, Any], arguments: list[str], body: str) -> int:
    refresh(folder, state)
    assert option(arguments, "state") == "all"
    fields = option(arguments, "json").split(",")
    wanted = [one for one in state["requests"] if one["head"] == option(arguments, "head")]
    print("a warning of gh", file=sys.stderr)
    print(json.dumps([{field: one[field] for field in fields} for one in reversed(wanted)]))
    return 0


def create(folder: str, state: dict[str, Any], arguments: list[str], body: str) -> int:
    head, base = option(arguments, "head"), option(arguments, "base")
    assert option(arguments, "body-file") == "-"
    commit = commit_of(folder, head)
    if not commit or commit == commit_of(folder, base):
        print(f"pull request create failed: No commits between {base} and {head}", file=sys.stderr)
        return 1
    for one in state["requests"]:
        if one["head"] == head and one["state"] == "OPEN" and not one["isCrossRepository"]:
            print(f'a pull request for branch "{head}" into branch "{base}" already exists', file=sys.stderr)
            return 1
    number = len(state["requests"]) + 1
    state["requests"].append(
        {
            "number": number,
            "state": "OPEN",
            "head": head,
            "base": base,
            "headRefOid": commit,
            "mergeCommit": None,
            "url": URL.format(number),
            "isCrossRepository": False,
            "title": option(arguments, "title"),
            "body": body,
        }
    )
    print(URL.format(number))
    return 0


def edit(folder: str, state: dict[str, Any], arguments: list[str], body: str) -> int:
    request = state["requests"][int(arguments[-3]) - 1]
    request |= {"title": option(arguments, "title"), "body": body}
    print(request["url"])
    return 0


ACTIONS = {"list": list_requests, "create": create, "edit": edit}

if __name__ == "__main__":
    sys.exit(main())
