"""The scripted agent: a program that speaks ACP and plays a script from the prompt; no model, no network.

It is what the demo and the tests run. This folder stands on the standard library alone and imports nothing else of
Tapeout, so that `program.py` starts in tens of milliseconds. Turns play in threads, because a cancel must be seen
while a step runs. The script's format is documented in `docs/reference/scripted-agent.md`.

What may go wrong: a prompt without a script, or with one that is not valid. The agent says so in its turn; it never
guesses.
"""

import os

from .script import Script, ScriptError, Step, Turn, find_script, parse_script

__all__ = ["PROGRAM", "Script", "ScriptError", "Step", "Turn", "find_script", "parse_script"]

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")
"""Path of the program: run it as `python -I program.py`."""
