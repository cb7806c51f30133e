"""The detectors of spirals as a guard of one session: tells the agent once of each kind, then ends it. Pure."""

from collections.abc import Sequence

from tapeout.agents import ToolCall, Update, Usage
from tapeout.floor.guards import Answer, Cut, Quiet, Tell
from tapeout.floor.memory.model import Round
from tapeout.floor.spirals.model import Kind, Spiral
from tapeout.floor.spirals.rounds import detect
from tapeout.floor.spirals.session import SessionWatch


class SpiralGuard(Quiet):
    """Watches one session for spirals."""

    def __init__(self, earlier: Sequence[Round] = ()) -> None:
        """
        Args:
            earlier: rounds of the sessions on the issue before this one.
        """
        self._earlier = tuple(earlier)
        self._session: list[Round] = []
        self._watch = SessionWatch()
        self._told: set[Kind] = set()

    def update(self, update: Update, now: float) -> Answer:
        """A tool call, or how full the context is."""
        if isinstance(update, ToolCall):
            return self._answer(self._watch.call(update), at_once=True)
        if isinstance(update, Usage):
            return self._answer(self._watch.usage(update), at_once=True)
        return None

    def turn_started(self, prompt: str, now: float) -> Answer:
        """A prompt is given."""
        self._watch.turn_started()
        return None

    def turn_ended(self, judged: Round | None, now: float) -> Answer:
        """A turn is over and the gate has spoken."""
        if judged is None:
            return None
        self._session.append(judged)
        return self._answer(detect(self._earlier, self._session), at_once=False)

    def _answer(self, spiral: Spiral | None, *, at_once: bool) -> Answer:
        if spiral is None:
            return None
        if spiral.is_cut:
            return Cut("spiral", spiral.evidence)
        if spiral.kind in self._told:
            return None
        self._told.add(spiral.kind)
        return Tell(
            _TOLD.format(evidence=spiral.evidence), spiral.evidence, when="now" if at_once else "next", unheard="spiral"
        )


_TOLD = (
    "Stop and look at this first: {evidence}. Doing more of the same will not help, and ends this session. Say what"
    " these tries have in common, which belief about the cause they share, and how you can find out whether it is"
    " true; then take another way."
)
