"""What the gate looks at by itself: a change must not weaken what judges it, or pretend to be another one.

A map, from the decisions outward. All but three modules are functions of two trees:

    alarm           one thing that needs a person, and the findings that alarms make
    change          the files that differ; reads them from git
    kept            tests that are gone, renamed or skipped: `python_tests`, `other_tests`
    weakened        tests that keep their name and lose their meaning: `python_facts`, `other_facts`, `assertions`
    suppressions    `noqa`, `type: ignore`, `eslint-disable` and the like; lowered thresholds
    privileged      gate, CI, hooks, agent rules, tools, build scripts: `classes`, `manifests`, `fixtures`
    paths           look-alikes, links that lead out, git's own names: `lookalikes`
    characters      text that is not what it seems
    detection       code that asks whether it is being judged
    commits         forged trailers and names, rewritten history; reads them from git
    rules           all of these, in order
    second_run      which files make the tests of the target branch run on a change; writes that tree to git
    judging         runs the gate: the change itself, and what `second_run` asks for

What may go wrong: a rule is too strict for a repository. Its permission can be given to one issue by a person, or to
all by `[gate.privileged]`. Text that cannot be parsed is read line by line, or counts as changed.

Not protected, and known: tests inside of source files (Rust) are not put back for the second run; tests of other
languages than Python, JavaScript, TypeScript, Go and Rust are told apart by file only; what a helper of tests asserts
is not compared.
"""

from tapeout.gate.integrity.judging import BASE_TESTS, judge_change
from tapeout.gate.integrity.part import Part
from tapeout.gate.integrity.rules import alarms_of, read_findings

__all__ = ["BASE_TESTS", "Part", "alarms_of", "judge_change", "read_findings"]
