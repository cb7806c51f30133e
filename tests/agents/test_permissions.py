"""Permission requests and requests for input over ACP: each gets an answer, in bounded time."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from tapeout.agents import Decision, Notice, Permission, Question
from tapeout.base.errors import EnvironmentProblem

from .conftest import Bench
from .test_hostile import PRELUDE, SERVE

pytestmark = pytest.mark.anyio

ASK = """
OPTIONS = [("a", "allow_always", "Always"), ("o", "allow_once", "Yes"), ("r", "reject_once", "No\\x1b[2J")]
def prompt(number):
    offered = [{"optionId": id, "kind": kind, "name": name} for id, kind, name in OPTIONS]
    call = {"toolCallId": "c", "title": "rm -rf build\\x07"}
    send(id=77, method="session/request_permission", params={"sessionId": "s", "toolCall": call, "options": offered})
    answer = read()
    while answer.get("id") != 77:
        answer = read()
    outcome = answer["result"]["outcome"]
    say(outcome.get("optionId", outcome["outcome"]))
    send(id=number, result={"stopReason": "cancelled" if outcome["outcome"] == "cancelled" else "end_turn"})

serve(prompt)
"""


def asker(bench: Bench) -> Any:
    return bench.program(PRELUDE + SERVE + ASK)


async def silence(question: Question) -> Decision | None:
    await anyio.sleep_forever()
    return None


def answering(decision: Decision | None, heard: list[Question]) -> Callable[[Question], Awaitable[Decision | None]]:
    async def answer(question: Question) -> Decision | None:
        await anyio.lowlevel.checkpoint()
        heard.append(question)
        return decision

    return answer


async def failing(question: Question) -> Decision | None:
    raise EnvironmentProblem("the disk is full")


@pytest.mark.parametrize(("permissions", "option"), [("allow", "a"), ("deny", "r")])
async def test_policy_answers_at_once(bench: Bench, permissions: str, option: str) -> None:
    async with bench.open(asker(bench), permissions=permissions, on_permission=silence) as session:
        assert (await session.prompt("")).text == option


@pytest.mark.parametrize(
    ("decision", "option", "kind"),
    [("allow", "o", "allow_once"), ("deny", "r", "reject_once"), (None, "r", "reject_once")],
)
async def test_a_parked_question_waits_for_whoever_is_asked(
    bench: Bench, decision: Decision | None, option: str, kind: str
) -> None:
    heard: list[Question] = []
    ask = answering(decision, heard)
    async with bench.open(asker(bench), permissions="ask", on_permission=ask) as session:
        assert (await session.prompt("")).text == option
    offered = (("allow_always", "Always"), ("allow_once", "Yes"), ("reject_once", "No"))
    assert heard == [Question("rm -rf build", offered)]  # nothing that moves a cursor
    assert [permission.decision for permission in bench.of(Permission)] == [kind]
    assert bool(bench.of(Notice)) == (decision is None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"on_permission": silence, "park_seconds": 0.05}, "nobody answered within 0.05 s"),
        ({"on_permission": failing}, "the question could not be asked: the disk is full"),
        ({}, "there is nobody to ask"),
    ],
)
async def test_without_an_answer_it_is_no(bench: Bench, options: dict[str, Any], reason: str) -> None:
    async with bench.open(asker(bench), permissions="ask", **options) as session:
        assert (await session.prompt("")).text == "r"
    assert bench.of(Notice) == [Notice(f"{reason}: rm -rf build was denied")]


async def test_a_cancelled_turn_takes_its_question_back(bench: Bench) -> None:
    asked = anyio.Event()

    async def wait(question: Question) -> Decision | None:
        asked.set()
        return await silence(question)

    async with (
        bench.open(asker(bench), permissions="ask", on_permission=wait) as session,
        anyio.create_task_group() as tasks,
    ):

        async def cancel() -> None:
            await asked.wait()
            await session.cancel()

        tasks.start_soon(cancel)
        result = await session.prompt("")
    assert (result.stop_reason, result.text) == ("cancelled", "cancelled")
    assert [permission.decision for permission in bench.of(Permission)] == ["cancelled"]


async def test_a_request_for_input_is_refused_at_once(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string"}}}
    params = {"sessionId": "s", "mode": "form", "message": "Your token?\x1b[2J", "requestedSchema": schema}
    source = f"""
def prompt(number):
    send(id=78, method="elicitation/create", params={params!r})
    answer = read()
    say(answer["error"]["message"])
    send(id=number, result={{"stopReason": "end_turn"}})

serve(prompt)
"""
    async with bench.open(bench.program(PRELUDE + SERVE + source)) as session:
        assert (await session.prompt("")).text == "Method not found"
