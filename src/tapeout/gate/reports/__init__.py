"""What checks find, read from their reports and written for other tools.

Inside, a finding is a `Diagnostic` in the shape of SARIF, whatever it came from. `read` brings a check's report in,
`fingerprint` says which findings are new, `show` prints them, `export` writes SARIF and JUnit.

What may go wrong: a report is missing, cut off, of another run, hostile or contradicts itself. It is `Unreadable` then,
and the check that made it has failed.
"""

from tapeout.gate.reports.model import NO_REPORT, Diagnostic, Report, TestCase, Unreadable

__all__ = ["NO_REPORT", "Diagnostic", "Report", "TestCase", "Unreadable"]
