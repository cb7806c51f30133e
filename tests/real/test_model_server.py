"""The scripted model over HTTP, in each of its three APIs, driven by the smallest possible agent."""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.model_script import ScriptError, find_script, render_script
from tests.support.model_server import ModelServer

Body = dict[str, Any]


class Answer(NamedTuple):
    """What an agent reads from one stream."""

    text: str
    call: tuple[str, dict[str, Any]] | None
    """Name of the tool and its arguments."""
    tokens: int


class Dialect(NamedTuple):
    """How an agent speaks one API."""

    path: str
    new: Callable[[], Body]
    say: Callable[[Body, str], None]
    read: Callable[[list[Body]], Answer]
    result: Callable[[Body, Answer, str], None]


def _field(name: str, kind: str = "string") -> Body:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


# --- responses ---


def _responses_new() -> Body:
    tools = [
        {"type": "function", "name": "view_image", "parameters": _field("path")},
        {"type": "function", "name": "exec_command", "parameters": _field("cmd")},
        {"type": "web_search"},
    ]
    context = {"type": "input_text", "text": "<environment_context>\n</environment_context>"}
    return {"model": "m", "tools": tools, "input": [{"type": "message", "role": "user", "content": [context]}]}


def _responses_say(body: Body, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    body["input"].append({"type": "message", "role": "user", "content": content})


def _responses_read(events: list[Body]) -> Answer:
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    texts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
    calls = [(item["name"], json.loads(item["arguments"])) for item in items if item["type"] == "function_call"]
    return Answer("".join(texts), calls[0] if calls else None, events[-1]["response"]["usage"]["total_tokens"])


def _responses_result(body: Body, answer: Answer, output: str) -> None:
    assert answer.call
    identity = f"c{len(body['input'])}"
    name, arguments = answer.call
    call = {"type": "function_call", "call_id": identity, "name": name, "arguments": json.dumps(arguments)}
    body["input"] += [call, {"type": "function_call_output", "call_id": identity, "output": output}]


# --- chat completions ---


def _chat_new() -> Body:
    tool = {"type": "function", "function": {"name": "bash", "parameters": _field("command")}}
    return {"model": "m", "tools": [tool], "stream": True, "messages": [{"role": "system", "content": "Be good."}]}


def _chat_say(body: Body, text: str) -> None:
    body["messages"].append({"role": "user", "content": text})


def _chat_read(events: list[Body]) -> Answer:
    deltas = [event["choices"][0]["delta"] for event in events]
    text = "".join(delta.get("content") or "" for delta in deltas)
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    call = (calls[0]["name"], json.loads(calls[0]["arguments"])) if calls else None
    return Answer(text, call, events[-1]["usage"]["total_tokens"])


def _chat_result(body: Body, answer: Answer, output: str) -> None:
    assert answer.call
    name, arguments = answer.call
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    body["messages"] += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": output},
    ]


# --- messages ---


def _messages_new() -> Body:
    tool = {"name": "Bash", "input_schema": _field("command")}
    return {"model": "m", "tools": [{"name": "Read", "input_schema": _field("path")}, tool], "messages": []}


def _messages_say(body: Body, text: str) -> None:
    reminder = {"type": "text", "text": "<system-reminder>\nsomething\n</system-reminder>"}
    body["messages"].append({"role": "user", "content": [reminder, {"type": "text", "text": text}]})


def _messages_read(events: list[Body]) -> Answer:
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    text = "".join(delta.get("text", "") for delta in deltas)
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    names = [block["name"] for block in starts if block["type"] == "tool_use"]
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    usage = events[0]["message"]["usage"]["input_tokens"] + events[-2]["usage"]["output_tokens"]
    return Answer(text, (names[0], json.loads(arguments)) if names else None, usage)


def _messages_result(body: Body, answer: Answer, output: str) -> None:
    assert answer.call
    name, arguments = answer.call
    use = {"type": "tool_use", "id": "t", "name": name, "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": output}]}
    body["messages"] += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


RESPONSES = Dialect("/v1/responses", _responses_new, _responses_say, _responses_read, _responses_result)
CHAT = Dialect("/v1/chat/completions", _chat_new, _chat_say, _chat_read, _chat_result)
MESSAGES = Dialect("/v1/messages", _messages_new, _messages_say, _messages_read, _messages_result)


@pytest.fixture(params=[RESPONSES, CHAT, MESSAGES], ids=lambda dialect: dialect.path)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each API in turn."""
    chosen: Dialect = request.param
    return chosen


def post(server: ModelServer, path: str, body: Body) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request and read the whole answer."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def _events(raw: bytes) -> Iterator[Body]:
    for line in raw.decode().splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def ask(server: ModelServer, dialect: Dialect, body: Body) -> Answer:
    """The answer to a conversation."""
    response, raw = post(server, dialect.path, body)
    assert response.status == 200, raw
    return dialect.read(list(_events(raw)))


def commands(server: ModelServer, dialect: Dialect, body: Body) -> list[str]:
    """Play an agent until the turn ends: the commands that it was told to run, then the closing text."""
    ran: list[str] = []
    while True:
        answer = ask(server, dialect, body)
        if answer.call is None:
            return [*ran, answer.text]
        ran.append(answer.call[1].get("cmd") or answer.call[1]["command"])
        dialect.result(body, answer, "ok")


SCRIPT = render_script(
    [{"run": "one"}, {"run": "two\n'''quoted'''\n"}, {"say": "first"}],
    [{"run": "three"}, {"say": "second"}],
)


def test_plays_the_turns_of_a_conversation_from_what_each_request_carries(
    model_server: ModelServer, dialect: Dialect
) -> None:
    body = dialect.new()
    dialect.say(body, f"# The issue\n\n{SCRIPT}\n\n# The rules\n")
    assert commands(model_server, dialect, body) == ["one", "two\n'''quoted'''\n", "first"]
    dialect.say(body, "The gate found something.")
    assert commands(model_server, dialect, body) == ["three", "second"]
    dialect.say(body, "Again.")
    assert commands(model_server, dialect, body) == ["three", "second"]


def test_another_server_goes_on_where_the_first_was_stopped(dialect: Dialect) -> None:
    body = dialect.new()
    dialect.say(body, SCRIPT)
    with ModelServer() as first:
        dialect.result(body, ask(first, dialect, body), "ok")
    with ModelServer() as second:
        assert commands(second, dialect, body) == ["two\n'''quoted'''\n", "first"]


def test_reports_the_figures_of_the_script_from_there_on(model_server: ModelServer, dialect: Dialect) -> None:
    body = dialect.new()
    script = render_script([{"run": "one"}, {"usage": {"input": 90_000, "output": 5}}, {"run": "two"}])
    dialect.say(body, script)
    answer = ask(model_server, dialect, body)
    assert 0 < answer.tokens < 90_000
    for _ in range(2):
        dialect.result(body, answer, "ok")
        answer = ask(model_server, dialect, body)
        assert answer.tokens == 90_005


def test_fails_as_often_as_the_script_says(model_server: ModelServer, dialect: Dialect) -> None:
    body = dialect.new()
    steps: list[Body] = [
        {"status": 429, "retry_after": 2, "body": "slow down", "times": 2},
        {"cut": True, "times": 1},
        {"say": "at last"},
    ]
    dialect.say(body, render_script(steps))
    for _ in range(2):
        response, raw = post(model_server, dialect.path, body)
        assert response.status == 429
        assert response.getheader("retry-after") == "2"
        assert "slow down" in raw.decode()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        post(model_server, dialect.path, body)
    assert ask(model_server, dialect, body).text == "at last"
    assert len(model_server.requests) == 4


def test_waits_for_a_command_that_the_agent_reports_as_running(model_server: ModelServer) -> None:
    body = RESPONSES.new()
    RESPONSES.say(body, render_script([{"run": "make"}, {"run": "commit"}]))
    RESPONSES.result(body, ask(model_server, RESPONSES, body), "Process running with session ID 17\n")
    for _ in range(2):
        answer = ask(model_server, RESPONSES, body)
        assert answer.call is not None
        assert answer.call[0] == "write_stdin"
        assert answer.call[1]["session_id"] == 17
        RESPONSES.result(body, answer, "Process running with session ID 17\n")
    RESPONSES.result(body, ask(model_server, RESPONSES, body), "Process exited with code 0\n")
    assert commands(model_server, RESPONSES, body) == ["commit", "Done."]


def test_refuses_a_script_that_was_shortened(model_server: ModelServer, dialect: Dialect) -> None:
    body = dialect.new()
    dialect.say(body, SCRIPT[: len(SCRIPT) // 2])
    response, raw = post(model_server, dialect.path, body)
    assert response.status == 400
    assert "does not end" in raw.decode()


def test_refuses_when_no_tool_can_run_a_command(model_server: ModelServer, dialect: Dialect) -> None:
    body = dialect.new()
    body["tools"] = body["tools"][:1] if dialect is MESSAGES else []
    dialect.say(body, SCRIPT)
    response, raw = post(model_server, dialect.path, body)
    assert response.status == 400
    assert "runs a shell command" in raw.decode()


def test_says_so_when_there_is_no_script(model_server: ModelServer, dialect: Dialect) -> None:
    body = dialect.new()
    dialect.say(body, "Hello")
    assert ask(model_server, dialect, body).text == "There is nothing for me to do."


@pytest.mark.parametrize(
    "text",
    [
        "[[turn]]\n[[turn.step]]\nrun = 'a'\nsay = 'b'",
        "[[turn]]\n[[turn.step]]\nrun = 'a'\ntimes = 2",
        "[[step]]\nrun = 'a'",
        "run = ",
    ],
)
def test_refuses_what_is_no_script(text: str) -> None:
    with pytest.raises(ScriptError):
        find_script(f"```model-script\n{text}\n```")


def test_finds_a_script_that_the_prompt_indents_and_quotes_more() -> None:
    block = render_script([{"run": "cat <<'X'\n```\ninside\n```\nX\n"}])
    assert block.startswith("````model-script")
    indented = "".join(f"    {line}\n" for line in block.splitlines())
    assert find_script(indented) == find_script(block)


def test_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.support.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/v1/models")
            assert json.load(connection.getresponse())["data"][0]["id"] == "scripted"
            connection.close()
        finally:
            process.terminate()
