"""What each kind of step does."""

import os
import signal
import subprocess
from collections.abc import Callable

from .player import Refusal, Session
from .script import Step

WINDOW = 200_000
"""Tokens of the context window that `usage` reports if it does not say another size."""

DIFF_CHARACTERS = 20_000
"""Characters of a file before and after an edit that the client is told."""


def play(session: Session, step: Step) -> None:
    """Do one step of a turn."""
    _PLAYERS[step.action](session, step)


def _edit(session: Session, step: Step) -> None:
    call = session.tool(f"{step.action} {step.value}", "delete" if step.action == "delete" else "edit")
    path = session.path(step.value)
    old = _text_of(path)
    try:
        said = _change_file(path, step)
        call.end(True, said, diff={"path": step.value, "oldText": old, "newText": _text_of(path) or ""})
    except (OSError, ValueError) as error:
        session.say(f"Cannot {step.action} {step.value}: {error}.\n")
        call.end(False, f"{error}\n")


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(DIFF_CHARACTERS)
    except OSError:
        return None


def _change_file(path: str, step: Step) -> str:
    if step.action == "delete":
        os.remove(path)
        return "deleted\n"
    text = _replaced(path, step) if step.action == "replace" else step.options["text"]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "a" if step.action == "append" else "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return f"{len(text)} characters\n"


def _replaced(path: str, step: Step) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        before = file.read()
    if step.options["old"] not in before:
        raise ValueError("the old text is not in the file")
    return before.replace(step.options["old"], step.options["new"], step.options.get("count", -1))


def _run(session: Session, step: Step) -> None:
    session.shell(["sh", "-c", step.value], step.value)


def _commit(session: Session, step: Step) -> None:
    env = dict(os.environ)
    for who in ("AUTHOR", "COMMITTER"):
        env.setdefault(f"GIT_{who}_NAME", "Scripted agent")
        env.setdefault(f"GIT_{who}_EMAIL", "scripted-agent@localhost")
    command = 'git add -A && git commit -q -m "$1" && git rev-parse HEAD'
    session.shell(["sh", "-c", command, "sh", step.value], f"git commit: {step.value}", env)


def _say(session: Session, step: Step) -> None:
    session.say(step.value + "\n")


def _sleep(session: Session, step: Step) -> None:
    session.cancelled.wait(step.value)


def _usage(session: Session, step: Step) -> None:
    extra = {"cost": {"amount": step.options["cost"], "currency": "USD"}} if "cost" in step.options else {}
    session.update("usage_update", used=step.value, size=step.options.get("size", WINDOW), **extra)


def _ask(session: Session, step: Step) -> None:
    session.say(f"{step.value} The answer: {session.ask(step.value)}.\n")


def _crash(session: Session, step: Step) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.Signals)
    os.kill(os.getpid(), step.value)
    session.cancelled.wait()  # the signal ends the process, unless it is one that does not


def _exit(_session: Session, step: Step) -> None:
    os._exit(step.value)


def _hang(session: Session, step: Step) -> None:
    if not step.value:
        return
    session.deaf = step.options.get("deaf", False)
    Session.any_deaf = Session.any_deaf or session.deaf
    session.cancelled.wait()


def _flood(_session: Session, step: Step) -> None:
    left = step.value
    while left > 0:
        left -= os.write(2, (b"flood " * 16 + b"...\n")[: max(1, left)])


def _rubbish(session: Session, step: Step) -> None:
    session.rubbish(step.value)


def _daemon(session: Session, step: Step) -> None:
    command = 'sh -c "$1" </dev/null >/dev/null 2>&1 &'
    argv = ["sh", "-c", command, "sh", step.value]
    subprocess.run(argv, cwd=session.cwd, start_new_session=True, stdin=subprocess.DEVNULL, check=False)


def _fail(session: Session, step: Step) -> None:
    raise Refusal(step.value)


_PLAYERS: dict[str, Callable[[Session, Step], None]] = {
    "write": _edit,
    "replace": _edit,
    "append": _edit,
    "delete": _edit,
    "run": _run,
    "commit": _commit,
    "say": _say,
    "sleep": _sleep,
    "usage": _usage,
    "ask": _ask,
    "crash": _crash,
    "exit": _exit,
    "hang": _hang,
    "flood": _flood,
    "rubbish": _rubbish,
    "daemon": _daemon,
    "fail": _fail,
}
