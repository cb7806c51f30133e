"""What a session is told after its first turn: the gate's findings, or that there is nothing to check. Pure."""

from collections.abc import Mapping
from typing import Any

from tapeout.base.tokens import estimate
from tapeout.config import PromptConfig
from tapeout.floor.prompting.compiler import fit_part
from tapeout.floor.prompting.parts import REASON_TOKENS, Part, findings_of
from tapeout.tracker.prime.clipping import quoted


def no_change_prompt() -> str:
    """What a session is told that ended its turn without any change."""
    return (
        "Your turn ended, but the work tree is the same as before: there is no commit and no changed file, so there is"
        " nothing to check. Do the work in the files of the current folder. If you believe that nothing needs to be"
        " done, say precisely why.\n"
    )


def refinement_prompt(verdict: Mapping[str, Any], round_number: int, rounds: int, limits: PromptConfig) -> str:
    """What a session is told after a failed verdict.

    Args:
        round_number: which refinement this is, from 1.
        rounds: how many there can be.
    """
    head = (
        f"The gate checked your change and refused it: {quoted(str(verdict['reason']), REASON_TOKENS)}.\n\n"
        f"This is refinement {round_number} of {rounds}. Mend the cause, not the symptom: checks and tests stay as they"
        " are. What stands between lines of `~~~` is output of the checks. The findings:\n"
    )
    items = findings_of(verdict, limits.finding)
    part = Part("findings", "", items, limits.total, "run the check yourself")
    findings = fit_part(part, limits.total - estimate(head)) if items else None
    return f"{head}\n{findings.text}\n" if findings else head
