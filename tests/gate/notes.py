"""Landing one change and looking at its note, or writing another one."""

from tapeout.base.git import signature
from tapeout.gate.evidence import NOTES_REF
from tapeout.gate.evidence.verify import verify
from tests.gate.site import Site

KEY = b"k" * 32
"""Of somebody else."""


def land_one(site: Site, name: str = "a.txt") -> str:
    change = site.submit({name: "x\n"})
    site.run()
    assert site.state(change) == "landed"
    return site.main


def note_text(site: Site, commit: str) -> str:
    return site.hub.lookup_note(commit, NOTES_REF).message


def write_note(site: Site, commit: str, text: str) -> None:
    """As somebody who can write to the hub, but does not have its key."""
    author = signature("mallory")
    site.hub.create_note(text, author, author, commit, NOTES_REF, True)


def problems(site: Site, commit: str) -> tuple[str, ...]:
    return verify(site.hub, site.paths, commit).problems
