"""Issues from Markdown files."""

from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import UsageError
from tapeout.tracker import Draft
from tapeout.tracker.drafts import parse_drafts
from tapeout.tracker.model import ISSUE_TYPES

WORD = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
TITLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).map(
    lambda text: " ".join(text.split())
)
TITLES = TITLE.filter(bool)
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=40)
FENCED = LINE.map(lambda line: f"```text\n---\ntitle: in code\n{line.lstrip('`~ ')}\n---\n```")
PLAIN = LINE.filter(lambda line: not line.lstrip(" ").startswith(("```", "~~~")) and line.rstrip() != "---")
BODY = st.lists(PLAIN | FENCED, max_size=6).map(lambda parts: "\n".join(parts).strip())
MOMENT = st.none() | st.integers(0, 2**31).map(float)
LINKS = ("conditional-on", "related", "discovered-from", "duplicates", "supersedes")
DRAFT = st.builds(
    Draft,
    title=TITLES,
    body=BODY,
    acceptance=TITLES | st.just(""),
    type=st.sampled_from(ISSUE_TYPES),
    priority=st.integers(0, 4),
    labels=st.lists(WORD, max_size=3).map(tuple),
    scope=st.lists(WORD, max_size=3).map(tuple),
    parent=st.none() | WORD,
    agent=st.none() | WORD,
    assignee=st.none() | TITLES,
    deferred_until=MOMENT,
    design=TITLES | st.just(""),
    due_at=MOMENT,
    estimate_minutes=st.none() | st.integers(0, 10**9 - 1),
    external_ref=st.none() | TITLES,
    depends_on=st.lists(WORD, max_size=3).map(tuple),
    links=st.lists(st.sampled_from(LINKS), unique=True).flatmap(
        lambda keys: st.tuples(
            *(st.tuples(WORD, st.just(key.removesuffix("-on"))) for key in sorted(keys, key=LINKS.index))
        )
    ),
    name=st.none() | WORD,
)


def moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def render(draft: Draft) -> str:
    """The file that describes a draft."""
    fields = {
        "id": draft.name,
        "title": draft.title,
        "type": draft.type,
        "priority": draft.priority,
        "labels": list(draft.labels),
        "scope": list(draft.scope),
        "parent": draft.parent,
        "agent": draft.agent,
        "assignee": draft.assignee,
        "depends-on": list(draft.depends_on),
        "acceptance": draft.acceptance or None,
        "design": draft.design or None,
        "defer": moment(draft.deferred_until),
        "due": moment(draft.due_at),
        "estimate": draft.estimate_minutes,
        "external-ref": draft.external_ref,
        **{f"{kind}-on" if kind == "conditional" else kind: [target] for target, kind in draft.links},
    }
    matter = yaml.safe_dump({key: value for key, value in fields.items() if value is not None}, allow_unicode=True)
    return f"---\n{matter}---\n{draft.body}\n"


@given(st.lists(DRAFT, min_size=1, max_size=4))
def test_what_is_written_is_what_is_read(drafts: list[Draft]) -> None:
    text = "\n".join(render(draft) for draft in drafts)
    assert [d._replace(scope=tuple(d.scope)) for d in parse_drafts(text, "f.md")] == drafts


def read(text: str) -> None:
    """Read a text; a refusal names the file and a line of it."""
    problem = ""
    try:
        assert parse_drafts(text, "f.md")
    except UsageError as error:
        problem = error.message
    if problem:
        assert problem.startswith("f.md:")
        assert int(problem.split(":")[1]) <= text.count("\n") + 1


@given(st.text())
def test_any_text_is_issues_or_an_error_that_names_file_and_line(text: str) -> None:
    read(text)


FORMAT = ("---", "title: x", "id: a", "```", "~~~", "- b", "text", "", "labels: [", "x: &a [*a]")


@given(st.lists(st.sampled_from(FORMAT)))
def test_any_mixture_of_the_formats_own_lines_is_issues_or_an_error(lines: list[str]) -> None:
    read("\n".join(lines))


def test_a_file_without_front_matter_is_one_issue() -> None:
    (draft,) = parse_drafts("# Parse tags\n\nA tag is a word.\n\n---\n\nMore.\n", "f.md")
    assert draft == Draft("Parse tags", body="A tag is a word.\n\n---\n\nMore.", scope=draft.scope)


def test_values_are_taken_as_they_are_written() -> None:
    (draft,) = parse_drafts("---\ntitle: no\nlabels: [yes, 1.10, 2024-01-01]\nid: 010\n---\n", "f.md")
    assert (draft.title, draft.labels, draft.name) == ("no", ("yes", "1.10", "2024-01-01"), "010")


def test_windows_lines_and_a_byte_order_mark_are_read() -> None:
    (draft,) = parse_drafts("\ufeff---\r\ntitle: One\r\n---\r\na\r\nb\r\n", "f.md")
    assert (draft.title, draft.body) == ("One", "a\nb")


def test_other_line_separators_stay_in_the_body() -> None:
    (draft,) = parse_drafts("---\ntitle: One\n---\na\u2028b\x0cc\n", "f.md")
    assert draft.body == "a\u2028b\x0cc"


def test_code_on_one_line_between_backticks_does_not_hide_the_next_issue() -> None:
    drafts = parse_drafts("---\ntitle: One\n---\n```x``` is code\n---\ntitle: Two\n---\n", "f.md")
    assert [draft.title for draft in drafts] == ["One", "Two"]


def test_a_longer_fence_shows_a_shorter_one() -> None:
    body = "````md\n```\n---\ntitle: inner\n---\n```\n````"
    (draft,) = parse_drafts(f"---\ntitle: One\n---\n{body}\n", "f.md")
    assert draft.body == body


def test_a_list_of_acceptance_criteria_becomes_markdown() -> None:
    (draft,) = parse_drafts("---\ntitle: One\nacceptance:\n- fast\n- right\n---\n", "f.md")
    assert draft.acceptance == "- fast\n- right"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "no issue found"),
        ("hello\n", 1, "no issue found"),
        ("# \n", 1, "no issue found"),
        ("---\ntitle: One\n---\n---\ntitle: Two\n", 4, "not closed"),
        ("---\ntype: bug\n---\n", 1, "no title"),
        ("---\ntitle: One\ntypo: bug\n---\n", 3, "unknown field 'typo'"),
        ("---\ntitle: One\nidea: x\nid: y\n---\n", 3, "unknown field 'idea'"),
        ("---\ntitle: One\nlabels: [a\n---\n", 3, "front matter"),
        ("---\ntitle: One\n---\n\n---\ntitle: [a, b]\n---\n", 5, "title should be text"),
        ("---\ntitle: One\npriority: 9\n---\n", 1, "not a priority"),
        ("---\ntitle: One\npriority: true\n---\n", 1, "not a priority"),
        ("---\ntitle: One\npriority: 1.0\n---\n", 1, "not a priority"),
        ("---\ntitle: One\ntype: story\n---\n", 1, "not an issue type"),
        ("---\ntitle: One\nlabels: [a b]\n---\n", 1, "not a label"),
        ("---\ntitle: One\nlabels: {a: b}\n---\n", 1, "labels should be a list"),
        ("---\ntitle: One\nscope: [[a]]\n---\n", 1, "scope should be a list"),
        ("---\ntitle: One\ndefer: soon\n---\n", 1, "is no date"),
        ("intro\n---\ntitle: One\n---\n", 1, "before the first front matter"),
        ("---\ntitle: One\nbody: " + "[" * 5000 + "\n---\n", 1, "front matter"),
    ],
)
def test_an_error_names_the_file_and_the_line(text: str, line: int, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_drafts(text, "f.md")
    assert caught.value.message.startswith(f"f.md:{line}:")
    assert says in caught.value.message
