"""What agents are told: prompts compiled from what the tracker knows, within budgets of tokens.

`assignment` reads from the tracker all that goes into a prompt, `parts` makes a part of each subject, `compiler` gives
each part its room by priority, `fitting` makes what is too long fit without cutting code or words, `later` is what a
session is told after its first turn.

To add a part: a field of `Assignment`, a function in `parts`, its place in `parts.PARTS` and in `parts.PRIORITY`, its
budget in `tapeout.config.PromptConfig`.

What may go wrong: text of others tries to look like a section of ours. It stands in fences that it cannot close.
"""

from tapeout.floor.prompting.assignment import Assignment, read_assignment
from tapeout.floor.prompting.compiler import CompiledPrompt, FittedPart, first_prompt
from tapeout.floor.prompting.later import no_change_prompt, refinement_prompt

__all__ = [
    "Assignment",
    "CompiledPrompt",
    "FittedPart",
    "first_prompt",
    "no_change_prompt",
    "read_assignment",
    "refinement_prompt",
]
