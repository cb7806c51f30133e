"""What our issues are called in other tools, and which issue such a name means: an export and an import must agree."""

from collections.abc import Callable, Sequence

OWN_PREFIX = "tapeout-"
"""Before our own id, where an issue has no name of the other tool."""

Named = Sequence[tuple[str, str | None]]
"""Ids and external references of all issues, always in the same order."""


def meanings(identities: Named) -> dict[str, str]:
    """Names elsewhere to our ids; of two issues with the same one, the one that is called so first."""
    split = [(identity, (external_ref or "").split()) for identity, external_ref in identities]
    found: dict[str, str] = {OWN_PREFIX + identity: identity for identity, _ in identities}
    for identity, names in split:
        if names:
            found.setdefault(names[0], identity)
    for identity, names in split:
        for name in names[1:]:
            found.setdefault(name, identity)
    return found


def unique_names(identities: Named, fits: Callable[[str], bool]) -> dict[str, str]:
    """Our ids to names, each of them once: the first name elsewhere that fits and means the issue, or our own."""
    means = meanings(identities)
    names = {}
    for identity, external_ref in identities:
        words = (word for word in (external_ref or "").split() if means[word] == identity and fits(word))
        names[identity] = next(words, OWN_PREFIX + identity)
    return names
