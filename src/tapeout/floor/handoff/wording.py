"""What agents are told about handoffs. Pure."""

from tapeout.floor.handoff.model import LONGEST_LINE, MARK, MOST_LINES, Handoff

REQUEST_BEGINS = "This session ends now: "
"""What only the request for a handoff begins with."""


def handoff_request(why: str) -> str:
    """What a session is asked that has to end.

    Args:
        why: one line.
    """
    return f"""{REQUEST_BEGINS}{why}. What you did is saved, and a fresh session goes on from it. It knows the
issue and sees your files and commits, but nothing of this conversation.

Do not go on with the work and use no tools. Answer with one code block, and nothing else, in exactly this form; each
list has at most {MOST_LINES} entries of at most {LONGEST_LINE} characters, and may be empty:

```{MARK}
{{
  "goal": "what you were after, in one sentence",
  "done": ["what is finished"],
  "next": ["the next step, precisely", "the one after it"],
  "dead_ends": ["what you tried that did not work, and why"],
  "files": [{{"path": "path/of/a/file", "why": "why it matters"}}],
  "commits": ["ids of your commits that matter"],
  "questions": ["what only a person can answer"]
}}
```

Files and commits are looked up: name real ones only.
"""


def handoff_lines(handoff: Handoff) -> str:
    """What the next session reads of a handoff: the words of others, to be shown apart from ours."""
    sections = (
        ("Goal", (handoff.goal,)),
        ("Next", handoff.next),
        ("Dead ends", handoff.dead_ends),
        ("Done", handoff.done),
        ("Open questions", handoff.questions),
        ("Files", tuple(f"{note.path}: {note.why}" if note.why else note.path for note in handoff.files)),
        ("Commits", tuple(commit[:12] for commit in handoff.commits)),
    )
    said = ((title, [line for line in lines if line]) for title, lines in sections)
    return "\n\n".join("\n".join([f"{title}:", *(f"- {line}" for line in lines)]) for title, lines in said if lines)
