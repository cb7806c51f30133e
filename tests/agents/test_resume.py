"""Going on with a session whose process has ended, over ACP."""

from typing import Any

import anyio
import pytest

from tapeout.agents import (
    AgentDied,
    CannotResume,
    Failure,
    Prompt,
    Session,
    Spent,
    Text,
    TurnEnded,
    Usage,
    lasting_session,
    meter_for,
)
from tapeout.agents.lasting import GO_ON, LIVES

from .conftest import Bench
from .test_hostile import PRELUDE

pytestmark = pytest.mark.anyio

REMEMBERS = """
CAN = {can}
notes = "notes.json"

def replay(number):
    for said in json.load(open(notes)):
        for kind, text in (("user_message_chunk", said), ("agent_message_chunk", "heard " + said)):
            update = {{"sessionUpdate": kind, "content": {{"type": "text", "text": text}}}}
            send(method="session/update", params={{"sessionId": "s7", "update": update}})
    update = {{"sessionUpdate": "usage_update", "used": 900, "size": 1000}}
    send(method="session/update", params={{"sessionId": "s7", "update": update}})
    send(id=number, result={{}})

while True:
    message = read()
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        send(id=number, result={{"protocolVersion": 1, "agentCapabilities": CAN}})
    elif method == "session/new":
        json.dump([], open(notes, "w"))
        send(id=number, result={{"sessionId": "s7"}})
    elif method in ("session/load", "session/resume"):
        if message["params"]["sessionId"] != "s7":
            send(id=number, error={{"code": -32002, "message": "Resource not found"}})
        elif method == "session/load":
            replay(number)
        else:
            send(id=number, result={{}})
    elif method == "session/prompt":
        text = message["params"]["prompt"][0]["text"]
        said = [*json.load(open(notes)), text]
        json.dump(said, open(notes, "w"))
        if text == "wait":
            say("waiting")
            read()  # to be cancelled
        if text in ("die", "wait"):
            os.kill(os.getpid(), signal.SIGKILL)
        say("you said " + ", ".join(said))
        send(id=number, result={{"stopReason": "end_turn"}})
"""

LOADS: dict[str, Any] = {"loadSession": True}
RESUMES: dict[str, Any] = {"sessionCapabilities": {"resume": {}}, "loadSession": True}


def remembering(bench: Bench, can: dict[str, Any]) -> Any:
    return bench.program(PRELUDE + REMEMBERS.format(can=repr(can)))


async def killed(bench: Bench, can: dict[str, Any]) -> Session:
    """A session whose process died in its second turn."""
    async with bench.open(remembering(bench, can)) as session:
        await session.prompt("one")
        with pytest.raises(AgentDied, match="SIGKILL"):
            await session.prompt("die")
    return session


@pytest.mark.parametrize("can", [LOADS, RESUMES], ids=["load", "resume"])
async def test_a_killed_session_goes_on_and_nothing_is_told_twice(bench: Bench, can: dict[str, Any]) -> None:
    before = await killed(bench, can)
    assert before.can_resume
    recorded, heard = len(bench.entries()), len(bench.updates)
    async with bench.open(remembering(bench, can), resume=before.id) as session:
        assert session.id == before.id
        result = await session.prompt("two")
    assert result.text == "you said one, die, two"
    told = [entry for entry in bench.entries()[recorded:] if isinstance(entry, (Prompt, Text, TurnEnded, Failure))]
    assert told == [Prompt("two"), Text("you said one, die, two"), TurnEnded("end_turn")]
    assert [update for update in bench.updates[heard:] if isinstance(update, Text)] == [Text("you said one, die, two")]
    assert (Usage(900, 1000) in bench.updates[heard:]) == (can is LOADS)  # how full it is counts from the start


async def test_what_it_no_longer_has_it_cannot_take_up(bench: Bench) -> None:
    with pytest.raises(CannotResume, match="Resource not found") as caught:
        async with bench.open(remembering(bench, RESUMES), resume="gone"):
            pytest.fail("it went on")
    assert bench.entries() == [Failure(caught.value.message)]


async def test_an_agent_that_cannot_is_not_asked(bench: Bench) -> None:
    before = await killed(bench, {})
    assert not before.can_resume
    with pytest.raises(CannotResume, match="cannot go on with an earlier session"):
        async with bench.open(remembering(bench, {}), resume=before.id):
            pytest.fail("it went on")


def lasting(bench: Bench, can: dict[str, Any], reaped: list[str]) -> Any:
    async def reap() -> None:
        reaped.append("reaped")

    spec = remembering(bench, can)
    meter = meter_for(spec)
    return lasting_session(lambda resume: bench.open(spec, resume=resume, meter=meter), reap=reap)


async def test_a_lasting_session_survives_the_death_of_its_process(bench: Bench) -> None:
    reaped: list[str] = []
    async with lasting(bench, RESUMES, reaped) as session:
        result = await session.prompt("die")
        assert result.text == f"you said die, {GO_ON}die", "it may have died before it kept what it was told"
        assert (await session.prompt("two")).text == f"you said die, {GO_ON}die, two"
    assert reaped == ["reaped"]
    spent = [update.input_tokens for update in bench.of(Spent)]
    assert spent == sorted(spent), "a death must not set budgets back"


async def test_who_cannot_go_on_has_died(bench: Bench) -> None:
    reaped: list[str] = []
    async with lasting(bench, {}, reaped) as session:
        with pytest.raises(AgentDied, match="SIGKILL"):
            await session.prompt("die")
    assert reaped == []


async def test_a_process_that_dies_again_and_again_is_given_up(bench: Bench) -> None:
    reaped: list[str] = []
    async with lasting(bench, RESUMES, reaped) as session:
        for _ in range(LIVES - 1):
            await session.prompt("die")
        with pytest.raises(AgentDied, match="SIGKILL"):
            await session.prompt("die")
    assert reaped == ["reaped"] * (LIVES - 1)


async def test_a_session_that_was_closed_stays_closed(bench: Bench) -> None:
    reaped: list[str] = []
    async with lasting(bench, RESUMES, reaped) as session:
        await session.prompt("one")
        await session.close()
        with pytest.raises(AgentDied):
            await session.prompt("two")
    assert reaped == []


async def test_who_dies_of_being_cancelled_does_not_go_on(bench: Bench) -> None:
    reaped: list[str] = []
    waits = anyio.Event()
    bench.listeners.append(lambda update: waits.set() if isinstance(update, Text) else None)
    async with lasting(bench, RESUMES, reaped) as session, anyio.create_task_group() as tasks:

        async def prompt() -> None:
            with pytest.raises(AgentDied):
                await session.prompt("wait")

        tasks.start_soon(prompt)
        await waits.wait()
        await session.cancel()
    assert reaped == []
