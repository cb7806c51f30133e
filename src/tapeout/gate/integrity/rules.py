"""All rules, in the order in which people should read what they say."""

import pygit2

from tapeout.config import Config
from tapeout.gate.globs import matches
from tapeout.gate.integrity.alarm import Alarm, findings_of, permitted
from tapeout.gate.integrity.change import Change, read_change
from tapeout.gate.integrity.characters import text_alarms
from tapeout.gate.integrity.commits import commit_alarms, read_commits
from tapeout.gate.integrity.detection import detection_alarms
from tapeout.gate.integrity.kept import kept_alarms
from tapeout.gate.integrity.part import Part
from tapeout.gate.integrity.paths import path_alarms
from tapeout.gate.integrity.privileged import Surroundings, privileged_alarms
from tapeout.gate.integrity.suppressions import suppression_alarms, threshold_alarms
from tapeout.gate.integrity.weakened import weakened_alarms
from tapeout.gate.verdict import Finding


def alarms_of(change: Change, around: Surroundings) -> list[Alarm]:
    """What about the files of a change needs a person. Pure."""
    tests = [file for file in change.files if matches(file.path, around.tests)]
    before = {file.path: file.old for file in tests if file.before}
    after = {file.path: file.new for file in tests if file.after}
    weakened = weakened_alarms(tests)
    return [
        *privileged_alarms(change, around),
        *kept_alarms(before, after),
        *weakened,
        *suppression_alarms(change.files),
        *threshold_alarms(change.files),
        *detection_alarms(change.files, around.tests),
        *path_alarms(change),
        *text_alarms(change.files),
    ]


def surroundings(config: Config) -> Surroundings:
    """What the rules need to know of the configuration."""
    commands = [check.run if isinstance(check.run, str) else " ".join(check.run or ()) for check in config.check]
    return Surroundings(config.gate.tests, commands, config.gate.privileged.files)


def read_findings(repository: pygit2.Repository, part: Part, config: Config) -> tuple[Finding, ...]:
    """The findings about a change, under the configuration of the target branch."""
    try:
        alarms = alarms_of(read_change(repository, part.base, part.commit), surroundings(config))
    except RecursionError:  # text that parses and is too deep to be walked: nobody writes that
        alarms = [Alarm("tests-kept", "tests", "", 0, "the change holds code that is nested too deeply to be read")]
    alarms += commit_alarms(read_commits(repository, part.target, part.head, part.begun)._replace(issue=part.issue))
    return findings_of(alarms, permissions(part, config))


def permissions(part: Part, config: Config) -> frozenset[str]:
    """What nobody needs to be asked about."""
    return permitted(config.gate.privileged.model_dump(), part.granted)
