"""What the scripted model answers: a pure function of the conversation so far.

A script is TOML in a fenced block of the prompt (here with `'` for a backtick):

    '''model-script
    [[turn]]
    [[turn.step]]
    run = "echo hello > greeting.txt && git add -A && git commit -qm 'Greet'"
    [[turn.step]]
    say = "Done."
    '''

A step has exactly one of

- `run`: a shell command, given to the agent's own shell tool; with `patience` (seconds) the tool is told to hand a
  slow command back as still running, where it can do that, and the model then waits for it;
- `say`: text of the answer;
- `delay`: seconds to wait;
- `status`: an HTTP status to answer with, with `retry_after` (seconds) and `body` (text, or the whole
  JSON object) if wanted;
- `cut = true`: drop the connection in the middle of the answer;
- `usage`: `{ input = N, output = N }`, the token figures to report from here on to the end of the turn.

`status` and `cut` fail each time the agent tries again; with `times = N` they fail N times, then the script
goes on. That count is the only thing which the server has to remember.

Turn n of the script is played at the n-th user prompt counted from the first that carries a script; the last
turn is repeated for any further prompt. Within a turn, the number of command results since the prompt says
how far it is.

A turn with `when = TEXT` belongs to the sessions whose prompt with the script has that text elsewhere, such as what an
earlier attempt left: they play only such turns, and the others play only those without.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

FENCE = "model-script"

_OPENING = re.compile(rf"^(?P<indent>[ \t]*)(?P<ticks>`{{3,}})[ \t]*{FENCE}[ \t]*$", re.MULTILINE)
_ACTIONS = ("run", "say", "delay", "status", "cut", "usage")
_OPTIONS = {"run": {"patience"}, "status": {"retry_after", "body", "times"}, "cut": {"times"}}

NOTHING_TO_DO = "There is nothing for me to do."
END_OF_TURN = "Done."


class ScriptError(Exception):
    """The script in the prompt cannot be played."""


class Usage(NamedTuple):
    """Token figures of one answer."""

    input: int
    output: int


class Step(NamedTuple):
    """One line of the script: `action` says which of the words it is, `value` what it says."""

    action: str
    value: Any
    retry_after: float | None = None
    body: str | None = None
    times: int | None = None
    patience: float = 30.0


Turn = tuple[Step, ...]


class Result(NamedTuple):
    """What a command of this turn gave back."""

    text: str
    running: str | None = None
    """The agent's handle of the command when it has not ended yet."""


class Conversation(NamedTuple):
    """What of a request matters, whichever API it came by."""

    prompts: tuple[str, ...]
    """The user's prompts, oldest first, without what agents inject in the user's name."""
    results: tuple[Result, ...]
    """Results of the commands run since the last prompt."""


class Reply(NamedTuple):
    """What to answer."""

    texts: tuple[str, ...] = ()
    command: str | None = None
    patience: float = 30.0
    """Seconds after which the tool may hand the command back as still running."""
    wait_for: str | None = None
    """Handle of a running command to wait for, instead of a new command."""
    delay: float = 0.0
    status: int = 200
    retry_after: float | None = None
    body: str | None = None
    cut: bool = False
    usage: Usage | None = None
    failure: str | None = None
    """Name of this failure when the script counts it."""


def render_script(*turns: Sequence[Mapping[str, Any]]) -> str:
    """The fenced block for turns given as lists of steps such as `{"run": "make"}`.

    Raises:
        ScriptError: the steps could not be read back.
    """
    lines: list[str] = []
    for turn in turns:
        lines.append("[[turn]]")
        for step in turn:
            lines.append("[[turn.step]]")
            lines.extend(f"{key} = {_toml(value)}" for key, value in step.items())
    text = "\n".join(lines)
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    block = f"{ticks}{FENCE}\n{text}\n{ticks}"
    if find_script(block) != tuple(tuple(map(_step, turn)) for turn in turns):
        raise ScriptError("the steps do not read back the same")
    return block


def find_script(prompt: str) -> tuple[Turn, ...] | None:
    """The turns of the first script in a prompt, None when there is none.

    Raises:
        ScriptError: the block does not end, or is not a script.
    """
    opening = _OPENING.search(prompt)
    if opening is None:
        return None
    rest = prompt[opening.end() :]
    closing = re.search(rf"^[ \t]*{opening['ticks']}[ \t]*$", rest, re.MULTILINE)
    if closing is None:
        raise ScriptError(f"the {FENCE} block does not end: was the prompt shortened?")
    lines = rest[: closing.start()].splitlines(keepends=True)
    around = prompt[: opening.start()] + rest[closing.end() :]
    return parse_script("".join(line.removeprefix(opening["indent"]) for line in lines), around)


def parse_script(text: str, around: str = "") -> tuple[Turn, ...]:
    """The turns of a script that are played in a session whose prompt has `around` around it.

    Raises:
        ScriptError: says what is wrong with it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"the {FENCE} block is not valid TOML: {error}") from error
    turns = data.get("turn")
    if not isinstance(turns, list) or set(data) != {"turn"}:
        raise ScriptError(f"the {FENCE} block has no [[turn]], or something beside it")
    own = [turn for turn in turns if turn.get("when", "\0") in around]
    played = own or [turn for turn in turns if "when" not in turn]
    return tuple(tuple(_step(step) for step in turn.get("step", ())) for turn in played)


def next_reply(conversation: Conversation, failed: Callable[[str], int] = lambda _: 0) -> Reply:
    """What to answer now. `failed` says how often the failure of that name was answered already.

    Raises:
        ScriptError: the script cannot be played.
    """
    if conversation.results and conversation.results[-1].running:
        return Reply(wait_for=conversation.results[-1].running)
    turn = _current_turn(conversation.prompts)
    if turn is None:
        return Reply(texts=(NOTHING_TO_DO,))
    return _play(turn, len(conversation.results), conversation, failed)


def _play(turn: Turn, done: int, conversation: Conversation, failed: Callable[[str], int]) -> Reply:
    """The answer that starts after the command number `done` of the turn and ends with the next one."""
    reply = Reply()
    for position, step in enumerate(turn):
        if step.action == "usage":
            reply = reply._replace(usage=Usage(step.value["input"], step.value.get("output", 1)))
        if done > 0:
            done -= step.action == "run"
        elif step.action == "run":
            return reply._replace(command=step.value, patience=step.patience)
        elif step.action == "say":
            reply = reply._replace(texts=(*reply.texts, step.value))
        elif step.action == "delay":
            reply = reply._replace(delay=reply.delay + step.value)
        elif step.action in ("status", "cut"):
            failure = repr((hash(conversation.prompts), len(conversation.results), position))
            if step.times is None or failed(failure) < step.times:
                return _failing(reply, step, failure)
    return reply if reply.texts else reply._replace(texts=(END_OF_TURN,))


def _failing(reply: Reply, step: Step, failure: str) -> Reply:
    reply = reply._replace(failure=None if step.times is None else failure)
    if step.action == "cut":
        return reply._replace(cut=True)
    return reply._replace(status=step.value, retry_after=step.retry_after, body=step.body)


def _current_turn(prompts: Sequence[str]) -> Turn | None:
    scripts = [find_script(prompt) for prompt in prompts]
    carrying = [index for index, script in enumerate(scripts) if script]
    if not carrying:
        return None
    turns = scripts[carrying[-1]] or ()
    return turns[min(len(prompts) - 1 - carrying[0], len(turns) - 1)]


def _step(data: Mapping[str, Any]) -> Step:
    actions = [action for action in _ACTIONS if action in data]
    if len(actions) != 1:
        raise ScriptError(f"a step needs exactly one of {', '.join(_ACTIONS)}, not {sorted(data)}")
    action = actions[0]
    unknown = set(data) - {action} - _OPTIONS.get(action, set())
    if unknown:
        raise ScriptError(f"a {action} step has no {min(unknown)!r}")
    options = {name: value for name, value in data.items() if name != action}
    return Step(action, data[action], **options)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, str):
        return _toml_text(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _toml_text(value: str) -> str:
    """A literal block where that is possible, because a person may read the script."""
    if "\n" not in value or "'''" in value or value.endswith("'"):
        return json.dumps(value, ensure_ascii=False)
    return f"'''\n{value}'''"
