"""Which lane an issue is in. Pure."""

from tapeout.config import Config, LaneConfig
from tapeout.floor.overlap import globs_overlap
from tapeout.tracker.model import Issue

NO_LANE = ""
"""Name of the lane of issues that fit none."""


def lane_of(issue: Issue, config: Config) -> tuple[str, LaneConfig]:
    """Name and rules of the first lane that the issue fits; `NO_LANE` and the defaults if it fits none."""
    for name, lane in config.lane.items():
        if fits(issue, lane):
            return name, lane
    return NO_LANE, LaneConfig()


def fits(issue: Issue, lane: LaneConfig) -> bool:
    """Whether an issue is of a lane's types, labels and paths."""
    if lane.types and issue.type not in lane.types:
        return False
    if lane.labels and not set(lane.labels) & set(issue.labels):
        return False
    if not lane.paths:
        return True
    return bool(issue.scope) and all(any(globs_overlap(glob, path) for path in lane.paths) for glob in issue.scope)
