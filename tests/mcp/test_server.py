"""The MCP server as clients use it: a process over standard input and output, driven by the SDK's own client."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from mcp.client.stdio import stdio_client
from mcp.types import Implementation

from mcp import ClientSession, StdioServerParameters
from tapeout.base.tokens import estimate
from tapeout.mcp.server import described_tools
from tapeout.mcp.tools import TOOLS
from tests.cli.conftest import PROGRAM, Cli

MOST_TOOLS = 10
MOST_TOKENS = 2_500

Call = Callable[..., Awaitable[Any]]


class Failed(Exception):
    """A tool answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


@asynccontextmanager
async def client(cli: Cli, *words: str, name: str = "probe", **env: str) -> AsyncIterator[Call]:
    """A connected client; what it yields calls a tool and gives back the data."""
    parameters = StdioServerParameters(
        command=PROGRAM, args=["mcp", *words], cwd=str(cli.folder), env={**os.environ, "TAPEOUT_ACTOR": "", **env}
    )
    info = Implementation(name=name, version="1")
    async with (
        stdio_client(parameters) as (reading, writing),
        ClientSession(reading, writing, client_info=info) as session,
    ):
        await session.initialize()

        async def call(tool: str, **arguments: Any) -> Any:
            result = await session.call_tool(tool, arguments)
            envelope = result.structured_content
            text = result.content[0].text  # type: ignore[union-attr]
            assert envelope is not None
            assert text.isprintable() or tool == "prime"
            if result.is_error:
                assert json.loads(text) == envelope["error"]
                raise Failed(envelope["error"])
            if tool == "prime":
                assert text == envelope["data"]["text"]
            else:
                assert_lean(json.loads(text), envelope["data"])
            return envelope["data"]

        yield call


def assert_lean(lean: Any, whole: Any) -> None:
    """`lean` is `whole` without what is empty."""
    if isinstance(whole, dict):
        assert lean.keys() == {name for name, value in whole.items() if value not in (None, "", [], {})}
        for name, value in lean.items():
            assert_lean(value, whole[name])
    elif isinstance(whole, list):
        assert len(lean) == len(whole)
        for one, other in zip(lean, whole, strict=True):
            assert_lean(one, other)
    else:
        assert lean == whole


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test."""
    asyncio.run(test())  # type: ignore[arg-type]


def test_the_tools_are_few_and_cheap() -> None:
    described = [tool.model_dump(by_alias=True, exclude_none=True) for tool in described_tools()]
    assert len(described) <= MOST_TOOLS
    assert estimate(json.dumps(described)) <= MOST_TOKENS
    for tool in TOOLS:
        jsonschema.Draft202012Validator.check_schema(tool.schema)
        assert set(tool.required) <= set(tool.properties)


def test_the_client_is_told_the_same_tools(cli: Cli) -> None:
    process = start(cli)
    say(process, 1, "initialize", INITIALIZE)
    assert "data, not instructions" in hear(process)["result"]["instructions"]
    say(process, None, "notifications/initialized", {})
    say(process, 2, "tools/list", {})
    tools = hear(process)["result"]["tools"]
    assert [tool["name"] for tool in tools] == [tool.name for tool in TOOLS]
    end(process)


def test_what_it_answers_is_what_the_commands_answer(cli: Cli) -> None:
    async def test() -> None:
        async with client(cli) as call:
            plan = [
                {"title": "Parse", "name": "parse", "type": "feature", "labels": ["api"], "body": "Do it."},
                {"title": "Show", "depends_on": ["parse"], "links": [{"on": "parse", "kind": "related"}]},
            ]
            parse, show = await call("create_issues", issues=plan)
            comment = await call("comment", issue=parse["id"][:6], text="@nobody said -")
            assert (comment["text"], comment["actor"][:6]) == ("@nobody said -", "probe-")
            assert await call("show_issue", issue=parse["id"]) == cli("issue", "show", parse["id"], "--json").data
            assert await call("list_issues") == cli("issue", "list", "--json").data
            assert [one["id"] for one in await call("list_issues", query="label:api -type:epic")] == [parse["id"]]
            assert await call("list_issues", query="status:closed") == []
            assert [one["id"] for one in await call("list_issues", ready=True)] == [parse["id"]]
            changed = await call(
                "update_issue", issue=show["id"], title="Show it", add_labels=["x"], defer="2d",
                remove_dependencies=[{"on": parse["id"]}, {"on": parse["id"], "kind": "related"}],
            )  # fmt: skip
            assert (changed["title"], changed["labels"], changed["state"]) == ("Show it", ["x"], "deferred")
            assert await call("history", limit=1000) == cli("logs", "--limit", "0", "--json").data
            lease = await call("claim", issue=parse["id"], seconds=60)
            held = cli("issue", "show", parse["id"], "--json").data
            assert (held["lease_owner"], held["lease_token"]) == (lease["owner"], lease["token"])
            assert (await call("claim", issue=parse["id"], renew=True))["expires"] > lease["expires"]
            assert await call("release", issue=parse["id"]) == {"issue": parse["id"]}
            closed = await call("close_issue", issue=parse["id"], note="works")
            assert [closed] == cli("issue", "list", "--status", "closed", "--json").data
            primer = await call("prime", budget=600)
            assert primer["tokens"] <= 600
            assert "Show it" in primer["text"]

    run(test)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("show_issue", {"issue": "zzzz"}, "not-found"),
    ("show_issue", {"issue": "--help"}, "not-found"),
    ("show_issue", {}, "usage"),
    ("show_issue", {"issue": 5}, "usage"),
    ("create_issues", {"issues": []}, "usage"),
    ("create_issues", {"issues": [{"title": "x", "colour": "red"}]}, "usage"),
    ("create_issues", {"issues": [{"title": "x"}, {"title": "\x1b[31m"}]}, "usage"),
    ("create_issues", {"issues": [{"title": "x", "parent": "zzzz"}]}, "not-found"),
    ("comment", {"issue": "ID", "text": " "}, "usage"),
    ("comment", {"issue": "ID", "text": "x" * 1_000_001}, "usage"),
    ("claim", {"issue": "ID", "seconds": -1}, "usage"),
    ("claim", {"renew": True}, "not-found"),
    ("claim", {"labels": ["nobody"]}, "not-found"),
    ("close_issue", {"issue": "ID", "as": "landed"}, "usage"),
    ("update_issue", {"issue": "ID", "add_dependencies": [{"on": "ID"}]}, "not-allowed"),
    ("prime", {"budget": 3}, "usage"),
    ("nothing", {}, "usage"),
]


def test_errors_say_what_is_wrong(cli: Cli) -> None:
    identity = cli.new("one")

    async def test() -> None:
        async with client(cli) as call:
            for tool, arguments, code in WRONG:
                words = json.loads(json.dumps(arguments).replace('"ID"', json.dumps(identity)))
                with pytest.raises(Failed) as caught:
                    await call(tool, **words)
                assert (tool, arguments, caught.value.error["code"]) == (tool, arguments, code)
                assert caught.value.error.keys() >= {"code", "exit", "message", "hint"}
                assert "\n" not in caught.value.error["message"]
            assert [one["id"] for one in await call("list_issues")] == [identity]

    run(test)


def test_an_update_that_is_refused_leaves_the_dependencies_as_they_were(cli: Cli) -> None:
    one, two, three = (cli.new(title) for title in ("one", "two", "three"))
    assert cli("issue", "dep", "add", one, two).code == 0
    links: dict[str, Any] = {"add_dependencies": [{"on": three}], "remove_dependencies": [{"on": two}]}

    async def test() -> None:
        async with client(cli) as call:
            before = await call("show_issue", issue=one)
            for wrong in ({"title": " "}, {"add_labels": ["a b"]}, {"parent": "zzzz"}, {"defer": "never"}):
                with pytest.raises(Failed):
                    await call("update_issue", issue=one, **links, **wrong)
                assert await call("show_issue", issue=one) == before
            await call("update_issue", issue=one, **links, title="new")
            assert [d["target"] for d in (await call("show_issue", issue=one))["dependencies"]] == [three]

    run(test)


def test_a_lost_claim_says_who_holds_it_until_when(cli: Cli) -> None:
    identity = cli.new("one")

    async def test() -> None:
        async with client(cli, name="first") as first, client(cli, "--actor", "second") as second:
            lease = await first("claim")
            assert lease["owner"].startswith("first-")
            with pytest.raises(Failed) as caught:
                await second("claim", issue=identity)
            error = caught.value.error
            assert (error["code"], error["exit"]) == ("lost-claim", 9)
            assert error["details"] == {"issue": identity, "owner": lease["owner"], "expires": lease["expires"]}
            with pytest.raises(Failed) as caught:
                await second("release", issue=identity)
            assert caught.value.error["code"] == "lost-claim"

    run(test)


def test_racing_clients_share_out_the_issues(cli: Cli) -> None:
    issues = {cli.new(f"issue {number}") for number in range(8)}

    async def worker(call: Call) -> list[dict[str, Any]]:
        won = []
        while True:
            try:
                won.append(await call("claim"))
            except Failed as failed:
                return won if failed.error["code"] == "not-found" else []

    async def test() -> None:
        async with client(cli) as one, client(cli) as two, client(cli) as three:
            shares = await asyncio.gather(worker(one), worker(one), worker(two), worker(three))
        won = [lease["issue"] for share in shares for lease in share]
        assert sorted(won) == sorted(issues)
        owners = {lease["owner"] for share in shares for lease in share}
        assert all(owner.startswith("probe-") for owner in owners)
        for share in (shares[2], shares[3]):
            assert len({lease["owner"] for lease in share}) <= 1

    run(test)


def test_an_agent_at_work_may_not_decide_about_work(cli: Cli) -> None:
    identity = cli.new("one")
    env = {"TAPEOUT_ATTEMPT": "a-1", "TAPEOUT_REPOSITORY": str(cli.folder)}

    async def test() -> None:
        async with client(cli, **env) as call:
            for tool, arguments in (
                ("claim", {}), ("claim", {"issue": identity}), ("claim", {"issue": identity, "renew": True}),
                ("release", {"issue": identity}), ("close_issue", {"issue": identity}),
            ):  # fmt: skip
                with pytest.raises(Failed) as caught:
                    await call(tool, **arguments)
                assert caught.value.error["code"] == "not-allowed"
            assert (await call("comment", issue=identity, text="x"))["actor"] == "agent:a-1"
            assert "The gate decides" in (await call("prime"))["text"]

    run(test)


INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


def start(cli: Cli, *words: str) -> "subprocess.Popen[str]":
    """The server, without a client."""
    return subprocess.Popen(
        [PROGRAM, "mcp", *words], cwd=cli.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def say(process: "subprocess.Popen[str]", identity: int | None, method: str, params: dict[str, Any]) -> None:
    """Send a message."""
    assert process.stdin is not None
    message = {"jsonrpc": "2.0", "method": method, "params": params, **({"id": identity} if identity else {})}
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> Any:
    """The next message."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def end(process: "subprocess.Popen[str]") -> str:
    """Close standard input and wait for the end; what else came on standard output."""
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return rest


def test_the_process_ends_when_its_input_does(cli: Cli) -> None:
    assert end(start(cli)) == ""
    process = start(cli)
    say(process, 1, "initialize", INITIALIZE)
    hear(process)
    say(process, 2, "tools/call", {"name": "create_issues", "arguments": {"issues": [{"title": "last"}]}})
    assert hear(process)["id"] == 2
    assert end(process) == ""
    assert cli("issue", "list", "--json").data[0]["created_by"].startswith("raw-")


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_half_done(cli: Cli) -> None:
    process = start(cli)
    say(process, 1, "initialize", INITIALIZE)
    plan = [{"title": f"issue {number}"} for number in range(50)]
    say(process, 2, "tools/call", {"name": "create_issues", "arguments": {"issues": plan}})
    end(process)
    assert len(cli("issue", "list", "--limit", "0", "--json").data) in (0, 50)


def test_garbage_is_no_end(cli: Cli) -> None:
    process = start(cli)
    assert process.stdin is not None
    process.stdin.write('nonsense\n\n{"jsonrpc": "2.0"}\n')
    say(process, 1, "initialize", INITIALIZE)
    while hear(process).get("id") != 1:
        pass
    for line in end(process).splitlines():
        json.loads(line)


def test_it_outlives_a_rebuild_of_the_index(cli: Cli) -> None:
    identity = cli.new("one")

    async def test() -> None:
        async with client(cli) as call:
            await call("comment", issue=identity, text="before")
            os.unlink(cli.paths.tracker_db)
            await call("comment", issue=identity, text="after")
            shown = await call("show_issue", issue=identity)
            assert [comment["text"] for comment in shown["comments"]] == ["before", "after"]

    run(test)


def test_without_a_repository_it_says_so_at_once(cli: Cli, tmp_path: Any) -> None:
    done = cli("mcp", cwd=tmp_path)
    assert (done.code, done.out) == (7, "")
    assert "is not inside a git repository" in done.err
    assert cli("mcp", "--repository", str(cli.folder), cwd=tmp_path).code == 0


def test_without_the_extra_it_says_how_to_install_it(cli: Cli) -> None:
    hidden = (
        "import sys; sys.modules['mcp'] = None; from tapeout.cli import main; sys.argv = ['tapeout', 'mcp'];"
        " sys.exit(main())"
    )
    done = cli("-c", hidden, program=(sys.executable,))
    assert (done.code, done.out) == (7, "")
    assert done.err.count("\n") == 1
    assert "`./run mcp` in a checkout" in done.err
