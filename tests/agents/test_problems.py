"""What agents say when their provider fails, word for word: from the real programs against a scripted model, and from
reports of their users where only the real provider says it.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.agents import (
    AgentDied,
    AgentError,
    AgentNotInstalled,
    AgentProtocolError,
    AgentTimeout,
    problem_of_error,
    problem_of_text,
    problem_of_turn,
)
from tapeout.agents.problems import MESSAGE_LENGTH
from tapeout.agents.render import plain
from tapeout.agents.resets import HORIZON, STALE, reset_time

NOW = datetime(2026, 11, 25, 18, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0

RAISED = {
    "codex-acp 429": (
        "codex answered session/prompt with an error: Internal error (exceeded retry limit, last status: 429 Too Many "
        "Requests)",
        "usage-limit",
    ),
    "codex-acp 500": (
        "codex answered session/prompt with an error: Internal error (We're currently experiencing high demand, which "
        "may cause temporary errors.)",
        "overloaded",
    ),
    "codex-acp 529": (
        "codex answered session/prompt with an error: Internal error (unexpected status 529 <unknown status code>: "
        "Overloaded, url: http://127.0.0.1:36189/v1/responses)",
        "overloaded",
    ),
    "codex-acp cut": (
        "codex answered session/prompt with an error: Internal error (stream disconnected before completion: Transport "
        "error: network error: error decoding response body)",
        "network",
    ),
    "codex-acp 401": (
        "codex answered session/prompt with an error: Internal error (unexpected status 401 Unauthorized: invalid "
        "x-api-key, url: http://127.0.0.1:33071/v1/responses)",
        "auth",
    ),
    "codex-acp 400": (
        'codex answered session/prompt with an error: Internal error ({"type": "error", "error": {"type": "scripted", '
        '"code": "scripted", "message": "prompt is too long"}})',
        "other",
    ),
    "claude-agent-acp 429": (
        "claude answered session/prompt with an error: Internal error: API Error: Request rejected (429) · This "
        "request would exceed your account's rate limit. Please try again later.",
        "usage-limit",
    ),
    "claude-agent-acp 500": (
        "claude answered session/prompt with an error: Internal error: API Error: 500 Internal server error. This is a "
        "server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway "
        "(127.0.0.1:41349).",
        "overloaded",
    ),
    "claude-agent-acp 529": (
        "claude answered session/prompt with an error: Internal error: API Error: 529 Overloaded. This is a "
        "server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway "
        "(127.0.0.1:45265).",
        "overloaded",
    ),
    "claude-agent-acp cut": (
        "claude answered session/prompt with an error: Internal error: API Error: Connection to the API was lost "
        "(ECONNRESET). This is usually temporary — try again.",
        "network",
    ),
    "claude-agent-acp 401": ("claude answered session/prompt with an error: Authentication required", "auth"),
    "claude-agent-acp 400": (
        "claude answered session/prompt with an error: Internal error: Prompt is too long · this conversation is a "
        "single exchange and cannot be compacted — the request size comes mostly from system prompt, tool definitions, "
        "or attachments.",
        "other",
    ),
    "vibe-acp 429": (
        "vibe answered session/prompt with an error: Rate limit exceeded for local (model: scripted).",
        "usage-limit",
    ),
    "vibe-acp 500": (
        "vibe answered session/prompt with an error: Server error '500 Internal Server Error' for url "
        "'http://127.0.0.1:40423/v1/chat/completions' For more information check: "
        "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/500: Internal server error",
        "overloaded",
    ),
    "vibe-acp 529": (
        "vibe answered session/prompt with an error: Server error '529 ' for url "
        "'http://127.0.0.1:41895/v1/chat/completions' For more information check: "
        "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/529: Overloaded",
        "overloaded",
    ),
    "vibe-acp cut": ("vibe answered session/prompt with an error: The model request failed (ReadError).", "network"),
    "vibe-acp 401": (
        "vibe answered session/prompt with an error: Invalid API key (from env var LOCAL_KEY). Please check your API "
        "key and try again.",
        "auth",
    ),
    "vibe-acp 400": (
        "vibe answered session/prompt with an error: Client error '400 Bad Request' for url "
        "'http://127.0.0.1:40101/v1/chat/completions' For more information check: "
        "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/400: prompt is too long",
        "other",
    ),
    "OpenAI, no credit": (
        "You exceeded your current quota, please check your plan and billing details.",
        "auth",
    ),
    "gemini, free tier": (
        "You exceeded your current quota, please check your plan and billing details. Please retry in 35.217s.",
        "usage-limit",
    ),
    "refused": ("API Error: Unable to connect to API (ECONNREFUSED)", "network"),
}

WARNING = (
    "Warning: Model metadata for `scripted` not found. Defaulting to fallback metadata; this can degrade performance "
    "and cause issues.\n\n"
)
RETRYING = "Info: Request failed due to a transient API error. Retrying..." * 5
HIDDEN = {
    "copilot 429": (
        RETRYING + "Error: Failed to get response from the AI model; retried 5 times (total retry wait time: 10.95 "
        "seconds) Last error: 429 This request would exceed your account's rate limit. Please try again later.",
        "usage-limit",
    ),
    "copilot 500": (
        RETRYING + "Error: Failed to get response from the AI model; retried 5 times (total retry wait time: 15.68 "
        "seconds) Last error: 500 Internal server error",
        "overloaded",
    ),
    "copilot cut": (
        RETRYING + "Error: Failed to get response from the AI model; retried 5 times (total retry wait time: 5.00 "
        "seconds) Last error: Failed native model HTTP request: error decoding response body: error reading a body "
        "from connection: Connection reset by peer (os error 104) [ECONNRESET]",
        "network",
    ),
    "copilot 401": (
        RETRYING + "Error: Authentication failed with provider at http://127.0.0.1:40255/v1 (HTTP 401).\n  Check your "
        "COPILOT_PROVIDER_API_KEY, COPILOT_PROVIDER_API_KEY_COMMAND, or COPILOT_PROVIDER_BEARER_TOKEN.",
        "auth",
    ),
    "codex-acp 2.6 429": (WARNING + "exceeded retry limit, last status: 429 Too Many Requests\n\n", "usage-limit"),
    "codex-acp 2.6 500": (
        WARNING + "We\u2019re currently experiencing high demand, which may cause temporary errors.\n\n",
        "overloaded",
    ),
    "codex-acp 2.6 529": (
        WARNING
        + "unexpected status 529 <unknown status code>: Overloaded, url: http://127.0.0.1:42161/v1/responses\n\n",
        "overloaded",
    ),
    "codex-acp 2.6 cut": (
        WARNING
        + "stream disconnected before completion: Transport error: network error: error decoding response body\n\n",
        "network",
    ),
    "claude": (
        "I will look at the parser.API Error: 500 Internal server error. This is a server-side issue",
        "overloaded",
    ),
    "claude, limit": ("Claude AI usage limit reached|1795640400", "usage-limit"),
    "claude, session": ("You've hit your session limit \u00b7 resets 12:50am (America/Los_Angeles)", "usage-limit"),
    "codex, limit": ("\u25a0 You've hit your usage limit. Upgrade to Pro or try again at 3:45 PM.", "usage-limit"),
}

WORK = (
    "",
    "Done.",
    "I added a retry on HTTP 429 with the Retry-After header, and a test for it.",
    'The client now shows "Rate limit exceeded" to users.\n\nAll tests pass.',
    "Error: ENOENT is now a warning.\n\nI committed the change.",
    "The server answers 503 Service Unavailable while it drains; documented in docs/api.md.",
    "You should log in again after the migration.",
    "The build says:\n\nError: cannot find module 'left-pad'",
)

RESETS = {
    "Claude AI usage limit reached|1795640400": 1795640400.0,
    "Claude usage limit reached. Your limit will reset at 5pm (America/Santiago).": NOW + 1.5 * HOUR,
    "You've hit your limit · resets 1:30am (Asia/Dhaka)": NOW + HOUR,
    "5-hour limit reached ∙ resets 11pm": NOW + 4.5 * HOUR,
    "You've hit your session limit · resets 12:50am (America/Los_Angeles)": NOW + 14 * HOUR + 20 * 60,
    "You've hit your weekly limit · resets Nov 28, 5am (UTC)": NOW + 58.5 * HOUR,
    "limit resets Friday at 9am (UTC)": NOW + 38.5 * HOUR,
    "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days 22 hours "
    "11 minutes.": NOW + 5 * 24 * HOUR + 22 * HOUR + 11 * 60,
    "You've hit your usage limit. Upgrade to Pro or try again at 7:45 PM.": NOW + 1.25 * HOUR,
    "You've hit your usage limit. Try again at Dec 2nd, 2026 1:12 PM.": datetime(
        2026, 12, 2, 13, 12, tzinfo=UTC
    ).timestamp(),
    "You have reached your usage limit. Upgrade your plan or add credits to continue, or try again after December 3, "
    "2026 at 2:45 PM.": datetime(2026, 12, 3, 14, 45, tzinfo=UTC).timestamp(),
    'unexpected status 429: {"error":{"type":"usage_limit_reached","resets_at":1795775317}}': 1795775317.0,
    'unexpected status 429: {"error":{"type":"usage_limit_reached","resets_in_seconds":602}}': NOW + 602,
    "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 22999. Please try again in 1.998s.": NOW
    + 1.998,
    "Please try again in 1m30s.": NOW + 90,
    "Please try again in 850ms.": NOW + 0.85,
    '"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "35s"': NOW + 35,
    "429 Too Many Requests, retry-after: 20": NOW + 20,
    "quota resets at 2026-11-25T19:30:00Z": NOW + HOUR,
    "exceeded retry limit, last status: 429 Too Many Requests": None,
    "usage-limit, Request ID: 1795640400": None,
    "limit reached, resets 8": None,
}


# Tables are compared whole: each further test costs the proof that it left no process.


def test_an_error_is_of_a_kind() -> None:
    found = {name: problem_of_error(AgentError(message), NOW) for name, (message, _) in RAISED.items()}
    assert {name: one and one.kind for name, one in found.items()} == {name: kind for name, (_, kind) in RAISED.items()}


def test_an_error_that_ends_a_turn_normally_is_found() -> None:
    found = {name: problem_of_turn(text, NOW) for name, (text, _) in HIDDEN.items()}
    assert {name: one and one.kind for name, one in found.items()} == {name: kind for name, (_, kind) in HIDDEN.items()}
    assert not [one for one in found.values() if one and one.message.startswith(("Warning", "Info", "I will"))]


def test_what_an_agent_says_about_its_work_is_no_problem() -> None:
    assert [problem_of_turn(text, NOW) for text in WORK] == [None] * len(WORK)


def test_the_stated_reset_is_read() -> None:
    found = {text: reset_time(text, NOW, UTC) for text in RESETS}
    assert found == {text: wanted and pytest.approx(wanted) for text, wanted in RESETS.items()}


def test_the_program_is_not_the_provider() -> None:
    for kind in (AgentDied, AgentNotInstalled, AgentProtocolError, AgentTimeout, OSError):
        assert problem_of_error(kind("codex ended with exit code 1: HTTP 429 Too Many Requests"), NOW) is None


def test_a_time_just_passed_is_not_tomorrow() -> None:
    late = "Your limit will reset at 3pm (UTC)."
    three = datetime(2026, 11, 25, 15, tzinfo=UTC).timestamp()
    assert reset_time(late, three + 60) == three
    assert reset_time(late, three + STALE + 60) == three + 24 * HOUR


def test_a_date_without_a_year_is_the_next_one() -> None:
    new_year = datetime(2026, 12, 30, tzinfo=UTC)
    assert (
        reset_time("resets Jan 2, 3pm (UTC)", new_year.timestamp())
        == (new_year + timedelta(days=3, hours=15)).timestamp()
    )


def test_a_zone_is_a_zone_in_summer_too() -> None:
    for month in (1, 7):
        now = datetime(2026, month, 10, 12, tzinfo=ZoneInfo("Europe/Warsaw"))
        assert reset_time("resets 5pm (Europe/Warsaw)", now.timestamp()) == (now + timedelta(hours=5)).timestamp()


@given(st.text() | st.from_regex(r"(resets?|try again|retry[- ]after|in) [\w:,. |()/+-]{0,60}"))
def test_nothing_that_an_agent_says_raises_or_is_believed_beyond_bounds(text: str) -> None:
    found = problem_of_text(text, NOW)
    assert found.resets_at is None or NOW - STALE <= found.resets_at <= NOW + HORIZON
    assert plain(found.message).split("\n") == [found.message]
    assert len(found.message) <= MESSAGE_LENGTH
    problem_of_turn(text, NOW)


def test_long_text_takes_no_long_time() -> None:
    for text in ("9" * 4000, "in " + "1d" * 2000, "resets " * 400, "{" * 4000, ". " * 2000, "\n" * 4000):
        problem_of_turn(text, NOW)  # the test's time limit is the assertion
        problem_of_text(text, NOW)
