"""The three model APIs: from a request's body to a conversation, from a reply to the events of its stream.

A scripted model knows its whole answer at once, so a stream is simply its list of events.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.support.model_script import Conversation, Reply, Result, ScriptError, Usage

Body = Mapping[str, Any]
Event = tuple[str, Any]
"""Name of the event and its data; with the name `""` only the data is sent."""

_INJECTED = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|turn_aborted|skill|subagent_notification|user_shell_command"
    r"|goal_context|system-reminder|local-command-\w+|command-name)\b|# AGENTS\.md instructions"
    r"|\[Request interrupted by user)"
)
"""How texts begin that agents put into the user's mouth: they are no prompts."""

_RUNNING = re.compile(r"Process running with session ID (\d+)")
_POLL_TOOLS = ("write_stdin",)
_COMMAND_FIELDS = ("cmd", "command", "script")
_SHELL_TOOLS = ("exec_command", "shell", "shell_command", "local_shell", "bash", "run_shell_command")
_SHELL_LIKE = re.compile(r"shell|bash|exec|terminal", re.IGNORECASE)


class Tool(NamedTuple):
    """The agent's shell tool as it was offered."""

    name: str
    properties: Mapping[str, Any]
    required: Sequence[str] = ()
    built_in: bool = False
    """True for the `local_shell` type of the responses API, which has a call shape of its own."""


class Api(NamedTuple):
    """One model API."""

    path: str
    conversation: Callable[[Body], Conversation]
    tools: Callable[[Body], Iterable[Tool]]
    events: Callable[[Reply, "Call | None", Usage, Body], Iterator[Event]]
    """The whole answer; a cut stream gets the first half."""


class Call(NamedTuple):
    """A call of the agent's tool."""

    id: str
    tool: Tool
    arguments: dict[str, Any]


def make_call(reply: Reply, tools: Iterable[Tool], call_id: str) -> Call | None:
    """The call that runs the reply's command, or waits for the running one, with the tools offered.

    Raises:
        ScriptError: no offered tool can run a command.
    """
    if reply.wait_for is not None:
        arguments = {"session_id": int(reply.wait_for), "chars": "", "yield_time_ms": 30_000}
        return Call(call_id, Tool(_POLL_TOOLS[0], {}), arguments)
    if reply.command is None:
        return None
    tool = find_shell_tool(list(tools))
    return Call(call_id, tool, _arguments(tool, reply.command, reply.patience))


def find_shell_tool(tools: Sequence[Tool]) -> Tool:
    """The tool that runs a shell command: by a known name first, else by the look of its name.

    Raises:
        ScriptError: there is none.
    """
    able = [tool for tool in tools if tool.built_in or _command_field(tool)]
    for name in _SHELL_TOOLS:
        for tool in able:
            if tool.name.lower() == name:
                return tool
    for tool in able:
        if _SHELL_LIKE.search(tool.name):
            return tool
    raise ScriptError(f"no tool among {sorted(tool.name for tool in tools)} runs a shell command")


def _command_field(tool: Tool) -> str | None:
    return next((field for field in _COMMAND_FIELDS if field in tool.properties), None)


def _arguments(tool: Tool, command: str, patience: float) -> dict[str, Any]:
    if tool.built_in:
        return {"type": "exec", "command": ["bash", "-c", command], "env": {}}
    field = _command_field(tool) or "command"
    as_list = tool.properties[field].get("type") == "array"
    arguments: dict[str, Any] = {field: ["bash", "-c", command] if as_list else command}
    defaults = {"yield_time_ms": int(patience * 1000), "timeout_ms": 600_000, "login": False}
    arguments |= {name: value for name, value in defaults.items() if name in tool.properties}
    arguments |= {name: "Run a command" for name in tool.required if name == "description"}
    return arguments


def _text(content: Any) -> str:
    """The text of a message's content, without what the agent put in."""
    if isinstance(content, str):
        return "" if _INJECTED.match(content) else content
    parts = [part.get("text") or "" for part in content or () if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if part and not _INJECTED.match(part))


def _output_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, Mapping):
        return str(output.get("content", output))
    return "\n".join(str(part.get("text", "")) for part in output or () if isinstance(part, Mapping))


class _Reader:
    """Collects prompts, and the results of commands since the last of them."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.results: list[Result] = []
        self.polls: set[str] = set()

    def prompt(self, text: str) -> None:
        if text:
            self.prompts.append(text)
            self.results.clear()

    def call(self, call_id: str, name: str) -> None:
        if name in _POLL_TOOLS:
            self.polls.add(call_id)

    def result(self, call_id: str, output: Any) -> None:
        text = _output_text(output)
        running = _RUNNING.search(text)
        result = Result(text, running[1] if running else None)
        if call_id in self.polls and self.results:
            self.results[-1] = result
        else:
            self.results.append(result)

    def conversation(self) -> Conversation:
        return Conversation(tuple(self.prompts), tuple(self.results))


# --- OpenAI responses ---


def _responses_conversation(body: Body) -> Conversation:
    reader = _Reader()
    given = body.get("input") or ()
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") == "user":
            reader.prompt(_text(item.get("content")))
        elif kind.endswith("_call_output"):
            reader.result(item["call_id"], item.get("output"))
        elif kind.endswith("_call"):
            reader.call(item.get("call_id") or "", item.get("name") or "")
    return reader.conversation()


def _responses_tools(body: Body) -> Iterator[Tool]:
    for tool in body.get("tools") or ():
        if tool.get("type") == "function":
            schema = tool.get("parameters") or {}
            yield Tool(tool["name"], schema.get("properties", {}), schema.get("required", ()))
        elif tool.get("type") == "local_shell":
            yield Tool("local_shell", {}, built_in=True)


def _responses_events(reply: Reply, call: Call | None, usage: Usage, body: Body) -> Iterator[Event]:
    number = iter(range(1_000_000))

    def event(kind: str, **data: Any) -> Event:
        return kind, {"type": kind, "sequence_number": next(number), **data}

    identity = f"resp_{_token(body)}"
    response = {"id": identity, "object": "response", "model": body.get("model"), "status": "in_progress"}
    yield event("response.created", response=response | {"output": []})
    items = [_message_item(f"msg_{identity}_{n}", text) for n, text in enumerate(reply.texts)]
    items += [_call_item(call)] if call else []
    for index, item in enumerate(items):
        started = item | {"status": "in_progress"} | ({"content": []} if item["type"] == "message" else {})
        yield event("response.output_item.added", output_index=index, item=started)
        if item["type"] == "message":
            at = {"item_id": item["id"], "output_index": index, "content_index": 0}
            yield event("response.output_text.delta", **at, delta=item["content"][0]["text"])
        yield event("response.output_item.done", output_index=index, item=item)
    figures = {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
    yield event("response.completed", response=response | {"status": "completed", "output": items, "usage": figures})


def _message_item(identity: str, text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": identity, "role": "assistant", "status": "completed", "content": content}


def _call_item(call: Call) -> dict[str, Any]:
    shared = {"id": f"fc_{call.id}", "call_id": call.id, "status": "completed"}
    if call.tool.built_in:
        return {"type": "local_shell_call", **shared, "action": call.arguments}
    return {
        "type": "function_call",
        **shared,
        "name": call.tool.name,
        "arguments": json.dumps(call.arguments),
    }


# --- OpenAI chat completions ---


def _chat_conversation(body: Body) -> Conversation:
    reader = _Reader()
    for message in body.get("messages") or ():
        if message.get("role") == "user":
            reader.prompt(_text(message.get("content")))
        elif message.get("role") == "tool":
            reader.result(message.get("tool_call_id") or "", message.get("content"))
    return reader.conversation()


def _chat_tools(body: Body) -> Iterator[Tool]:
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        schema = function.get("parameters") or {}
        yield Tool(function.get("name", ""), schema.get("properties", {}), schema.get("required", ()))


def _chat_events(reply: Reply, call: Call | None, usage: Usage, body: Body) -> Iterator[Event]:
    shared = {"id": f"chatcmpl-{_token(body)}", "object": "chat.completion.chunk", "created": 0}

    def chunk(delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> Event:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return "", shared | {"model": body.get("model"), "choices": choices, **more}

    yield chunk({"role": "assistant", "content": ""})
    for text in reply.texts:
        yield chunk({"content": text})
    if call:
        function = {"name": call.tool.name, "arguments": json.dumps(call.arguments)}
        yield chunk({"tool_calls": [{"index": 0, "id": call.id, "type": "function", "function": function}]})
    figures = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    yield chunk({}, "tool_calls" if call else "stop", usage=figures)
    yield "", "[DONE]"


# --- Anthropic messages ---


def _messages_conversation(body: Body) -> Conversation:
    reader = _Reader()
    for message in body.get("messages") or ():
        content = message.get("content")
        results = [] if isinstance(content, str) else [p for p in content if p.get("type") == "tool_result"]
        for part in results:
            reader.result(part["tool_use_id"], part.get("content"))
        if message.get("role") == "user":  # an interrupted turn's result and the next prompt come in one message
            reader.prompt(_text(content))
    return reader.conversation()


def _messages_tools(body: Body) -> Iterator[Tool]:
    for tool in body.get("tools") or ():
        schema = tool.get("input_schema") or {}
        yield Tool(tool.get("name", ""), schema.get("properties", {}), schema.get("required", ()))


def _messages_events(reply: Reply, call: Call | None, usage: Usage, body: Body) -> Iterator[Event]:
    def event(kind: str, **data: Any) -> Event:
        return kind, {"type": kind, **data}

    message = {
        "id": f"msg_{_token(body)}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
    }
    figures = {"input_tokens": usage.input, "output_tokens": 0}
    yield event("message_start", message=message | {"content": [], "stop_reason": None, "usage": figures})
    index = 0
    for text in reply.texts:
        yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        yield event("content_block_stop", index=index)
        index += 1
    if call:
        block = {"type": "tool_use", "id": call.id, "name": call.tool.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        yield event("content_block_start", index=index, content_block=block)
        yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    ending = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=ending, usage={"output_tokens": usage.output})
    yield event("message_stop")


def _token(body: Body) -> str:
    """A name for the answer: the same for the same request."""
    return f"{abs(hash(json.dumps(body, sort_keys=True))):x}"


APIS = (
    Api("/responses", _responses_conversation, _responses_tools, _responses_events),
    Api("/chat/completions", _chat_conversation, _chat_tools, _chat_events),
    Api("/messages", _messages_conversation, _messages_tools, _messages_events),
)
