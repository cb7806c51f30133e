"""Keys, tokens and passwords among the lines that a change adds. Pure.

The formats are those that their issuers document: a fixed prefix and an alphabet, so that hardly anything else fits.
For passwords there is no format: a quoted text that is assigned to such a name and looks random (Shannon entropy, as
scanners use it since truffleHog: 3.5 bits a character and more). A scanner with hundreds of rules, such as gitleaks,
finds more: give the check a `run`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tapeout.gate.builtin.change import Change
from tapeout.gate.globs import matches
from tapeout.gate.reports.model import Diagnostic

RANDOM_BITS = 3.5
"""Bits a character from which a text counts as random. English has about 2.5 to 3.5 by letters, base64 of random bytes
about 4.5 for 32 characters."""

_RULES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("private-key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
        ("aws-access-key", r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])"),
        ("github-token", r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})(?!\w)"),
        ("gitlab-token", r"(?<!\w)gl(?:pat|dt|rt|ptt|ft|soat)-[\w-]{20,}"),
        ("slack-token", r"(?<!\w)xox[abeoprs]-[\w-]{10,}"),
        ("slack-webhook", r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{20,}"),
        ("stripe-key", r"(?<!\w)[sr]k_live_[A-Za-z0-9]{20,}"),
        ("google-api-key", r"(?<![\w-])AIza[\w-]{35}(?![\w-])"),
        ("anthropic-key", r"(?<!\w)sk-ant-[\w-]{24,}"),
        ("openai-key", r"(?<!\w)sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}"),
        ("npm-token", r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"),
        ("pypi-token", r"(?<!\w)pypi-AgEI[\w-]{50,}"),
        ("sendgrid-key", r"(?<!\w)SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"),
        ("twilio-key", r"(?<!\w)SK[0-9a-f]{32}(?!\w)"),
        ("json-web-token", r"(?<!\w)eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
        ("url-password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{1,60}:(?P<value>[^\s:/@'\"${}<>]{6,80})@[\w.-]+"),
    )
)

_ASSIGNED = re.compile(
    r"""(?i)[\w.-]{0,40}(?:password|passwd|secret|api_?key|access_?key|auth_?token|private_?key)[\w.-]{0,20}
    ["']?\s*(?:=>|[:=]|:=)\s*["'](?P<value>[^"'\s]{12,200})["']""",
    re.VERBOSE,
)
_EXAMPLE = re.compile(
    r"(?i)example|sample|dummy|placeholder|change.?me|your.?|xxxx|test|fake|\*\*\*|\.\.\.|<|\$\{|\{\{|1234567|abcdef"
)


def secrets(change: Change, ignored: Sequence[str]) -> Iterator[Diagnostic]:
    """What looks like a secret in the added lines, also in those that a later commit takes out again, but for files
    that fit `ignored` (globs)."""
    seen: set[tuple[str, str]] = set()
    for file in (*change.files, *change.steps()):
        if matches(file.path, ignored):
            continue
        for number, text in file.added:
            rule = secret_in(text)
            if rule and (file.path, text) not in seen:
                seen.add((file.path, text))
                message = (
                    "looks like a secret: take it out, and revoke it if it is one (it is in the history of the change)"
                )
                yield Diagnostic(rule, "error", file.path, number, 0, message)


def secret_in(line: str) -> str:
    """The rule that a line breaks; empty if it holds no secret."""
    line = line[:10_000]
    for name, pattern in _RULES:
        match = pattern.search(line)
        if match and not (pattern.groups and _EXAMPLE.search(match["value"])):
            return name
    match = _ASSIGNED.search(line)
    if match and not _EXAMPLE.search(match["value"]) and entropy(match["value"]) >= RANDOM_BITS:
        return "assigned-secret"
    return ""


def entropy(text: str) -> float:
    """Bits a character, by how often each occurs (Shannon 1948)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0
