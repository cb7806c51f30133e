"""What went wrong at the model's provider, as data: from an agent's error, or from a turn that hides one. Pure.

    problem_of_error(error: Exception, now: float) -> ProviderProblem | None
    problem_of_turn(text: str, now: float) -> ProviderProblem | None      # text: `TurnResult.text`
    problem_of_text(text: str, now: float) -> ProviderProblem             # of what is known to be an error

    ProviderProblem(kind: "usage-limit" | "overloaded" | "network" | "auth" | "other",
                    resets_at: float | None,   # Unix time, where the agent states one
                    message: str)              # one line, safe to show

What to do about a kind: `usage-limit`: wait until `resets_at`, or back off; `overloaded` and `network`: back off;
`auth` (no login, a wrong key, no credit): waiting does not help, a person must act; `other` (the request itself was
refused: a prompt too long, no such model): it is for the issue's own attempt budget.

None means that no provider is to blame: the agent died, hangs, is not installed, speaks rubbish; or the turn simply
ended. Some adapters report an error of the model's API as a normal end of the turn, with the error as its text
(codex-acp 2.6, copilot). `problem_of_turn` finds those by how the last thing said begins. That is the agent's word,
so no evidence: ask only when the turn left nothing in git, and bound how often it is believed.
"""

import re
from dataclasses import dataclass
from typing import Literal

from tapeout.agents.errors import AgentDied, AgentError, AgentNotInstalled, AgentProtocolError, AgentTimeout
from tapeout.agents.render import plain
from tapeout.agents.resets import reset_time

Kind = Literal["usage-limit", "overloaded", "network", "auth", "other"]

MESSAGE_LENGTH = 300
"""Characters of a message."""

ERROR_LENGTH = 2000
"""Characters of the longest text that is taken for an error: real ones are a sentence or a JSON body."""

_OURS = (AgentDied, AgentNotInstalled, AgentProtocolError, AgentTimeout)


@dataclass(frozen=True)
class ProviderProblem:
    """Why a model's provider did not answer."""

    kind: Kind
    resets_at: float | None
    """When it will, as a Unix time, if the agent said so."""
    message: str
    """What the agent said, on one line."""


def problem_of_error(error: BaseException, now: float) -> ProviderProblem | None:
    """The provider's part in an error of a session, if it had one; `now` is the Unix time at which it was raised."""
    if not isinstance(error, AgentError) or isinstance(error, _OURS):
        return None
    return problem_of_text(error.message, now)


def problem_of_turn(text: str, now: float) -> ProviderProblem | None:
    """The problem that a turn ended with although it ended normally; `text` is the end of what the agent said."""
    last = _last_error(text)
    if last is None:
        return None
    found = problem_of_text(last, now)
    return None if found.kind == "other" and not _STATUS.search(last) else found


def problem_of_text(text: str, now: float) -> ProviderProblem:
    """What kind of problem a text reports that is known to be an error."""
    message = " ".join(plain(text[-ERROR_LENGTH:]).split())
    kind, resets_at = _kind(message), reset_time(message, now)
    if kind in ("auth", "other") and resets_at is not None:  # "check your plan and billing. Please retry in 35 s"
        kind = "usage-limit"
    return ProviderProblem(kind, resets_at, message[:MESSAGE_LENGTH])


def _kind(message: str) -> Kind:
    for kind, words in _WORDS:
        if words.search(message):
            return kind
    status = _STATUS.search(message)
    return _kind_of_status(int(next(group for group in status.groups() if group))) if status else "other"


def _kind_of_status(status: int) -> Kind:
    if status in (401, 402, 403):
        return "auth"
    if status == 429:
        return "usage-limit"
    if status == 408:
        return "network"
    return "overloaded" if status >= 500 else "other"


def _last_error(text: str) -> str | None:
    """From where the last thing said begins like an API error to its end; None if it does not."""
    tail = plain(text).strip()[-ERROR_LENGTH:]
    starts = sorted(match.start("error") for form in (_API_ERROR, _ERROR_LINE) for match in form.finditer(tail))
    # An agent at work goes on after an error that it writes about: one of the API is the last paragraph.
    return next((tail[start:] for start in starts if "\n\n" not in tail[start:]), None)


_STATUS = re.compile(
    r"""(?:\b(?:status(?:[ _]code)?|HTTP(?:/\d(?:\.\d)?)?|API[ _]Error|(?:error[ _])?code|last error)["']?"""
    r"""\s*[:=]?\s*["'(]?\s*([45]\d\d)\b)"""
    r"|(?:\(([45]\d\d)\))"
    r"|(?:\b([45]\d\d)\s+(?:Too Many Requests|Unauthorized|Forbidden|Internal Server Error|Bad Gateway"
    r"|Service Unavailable|Gateway Time-?out|Overloaded|Payment Required|Request Timeout)\b)",
    re.IGNORECASE,
)

_WORDS: tuple[tuple[Kind, "re.Pattern[str]"], ...] = (
    (
        "other",
        re.compile(
            r"prompt is too long|context[ _](?:length|window)|maximum context|input is too long|model[ _]not[ _]found"
            r"|no such model",
            re.IGNORECASE,
        ),
    ),
    (
        "auth",
        re.compile(
            r"invalid (?:x-)?api[ _-]?key|incorrect api key|api key not valid|unauthenticated"
            r"|authentication[ _](?:required|error|failed)|not logged in"
            r"|please (?:run )?/?log ?in|log in again|unauthorized"
            r"|oauth token|token (?:has )?expired|credit balance|insufficient[ _](?:quota|credits|funds)"
            r"|exceeded your current quota|billing|payment required|/login\b",
            re.IGNORECASE,
        ),
    ),
    (
        "usage-limit",
        re.compile(
            r"usage[ _]limit|(?:session|weekly|daily|monthly|message|hourly|hit your|opus|reached your)[ _]limit"
            r"|rate[ _-]?limit|too many requests|resource[ _]exhausted|quota|limits? (?:reached|exceeded|will reset)"
            r"|out of (?:free )?(?:messages|requests)|tokens per (?:min|day)|requests per (?:min|day)",
            re.IGNORECASE,
        ),
    ),
    (
        "overloaded",
        re.compile(
            r"overloaded|high demand|at capacity|server[ _-]error|internal server error|service unavailable|bad gateway"
            r"|temporarily unavailable|gateway time-?out|engine is currently|server is busy|server-side issue",
            re.IGNORECASE,
        ),
    ),
    (
        "network",
        re.compile(
            r"stream (?:disconnected|closed|error|ended)|connection (?:error|reset|refused|closed|aborted|lost)"
            r"|connection to the api|network error|error sending request|fetch failed|socket hang ?up"
            r"|\bE(?:CONN\w+|TIMEDOUT|NOTFOUND|PIPE"
            r"|AI_AGAIN|HOSTUNREACH|NETUNREACH)\b|timed? ?out|\bdns\b|name resolution|\bterminated\b|premature"
            r"|incomplete chunked|peer closed|remote(?: end)? (?:closed|protocol)|unreachable"
            r"|server disconnected|broken pipe|\b(?:Read|Connect|Write|RemoteProtocol)Error\b",
            re.IGNORECASE,
        ),
    ),
)
"""What to look for, most telling first: a usage limit is told with status 429, as an overload sometimes is."""

_ERROR_LINE = re.compile(
    r"^[^\w\n{]{0,8}(?P<error>(?:Execution failed|Internal error|Error|Request failed|stream error)\s?[:(])",
    re.IGNORECASE | re.MULTILINE,
)
"""How an error may begin a line; agents at work write such lines too."""

_API_ERROR = re.compile(
    r"(?:^[^\w\n{]{0,8}|(?<=[.!?…])\s{0,8})"
    r"(?P<error>API Error\b|unexpected status \d|exceeded retry limit, last status"
    r"|stream disconnected before completion|We[^ a-z]re currently experiencing high demand"
    r"|Error: (?:Failed to get response|Authentication failed)|Invalid API key|Please run /login"
    r"|Credit balance is too low|You[^ a-z]ve (?:hit|reached) your [\w ]{0,20}limit"
    r"|You have (?:hit|reached) your [\w ]{0,20}limit|Claude (?:AI )?usage limit reached"
    r"|(?:Session|Weekly|\d+-hour|Usage) limit reached|(?:Connection error|Request timed out)\.?$"
    r"|Rate limit(?:ed| reached| exceeded)|\{\s*\"(?:type\"\s*:\s*\"error|error)\")",
    re.IGNORECASE | re.MULTILINE,
)
"""How adapters begin an error of the API, which may follow the agent's last sentence without a space."""
