"""Where the parts of the gate meet: what no part alone lets in must not get in between two of them."""

import pytest

from tapeout.tracker import Draft
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_tree

ONE_SLOT = "\n[queue]\nslots = 1\n"
"""All that waits is one combination."""


def submit(site: Site, draft: Draft, *steps: dict[str, str | None], allowed: tuple[str, ...] = ()) -> Change:
    """A change of one commit a step."""
    issue = site.tracker.create(draft)
    for permission in allowed:
        site.tracker.allow(issue.id, permission)
    commit = base = site.main
    for files in steps:
        commit = commit_tree(site.hub, [commit], files)
    attempt = f"{issue.id}-1"
    lease = site.tracker.claim(issue.id, owner=attempt)
    site.tracker.start_attempt(lease, attempt, agent="scripted", host="here", pid=1, pid_started=0.0)
    return site.tracker.submit(lease, attempt, commit=commit, base=base)


def builtin(*kinds: str, gate: str = "") -> str:
    tables = "".join(f'[[check]]\nname = "{kind}"\nkind = "{kind}"\n' for kind in kinds)
    return f"{CONFIG}\n{tables}\n{gate}\n{ONE_SLOT}"


class TestBuiltInChecksOfCombinations:
    @pytest.mark.parametrize("other", [(), ("docs/**",)])
    def test_the_scope_of_one_change_is_no_excuse_for_another(self, make_site: MakeSite, other: tuple[str, ...]) -> None:
        site = make_site(builtin("scope"))
        outside = submit(site, Draft("Outside", scope=("src/**",)), {"docs/a.md": "a\n"})
        good = submit(site, Draft("Good", scope=other), {"docs/b.md": "b\n"})
        site.run()
        assert (site.state(outside), site.state(good)) == ("failed", "landed")

    def test_a_secret_does_not_get_into_history_because_a_later_change_takes_it_out(self, make_site: MakeSite) -> None:
        site = make_site(builtin("secrets"))
        key = "ghp_" + "aB3dE5gH7jK9" * 3
        leak = submit(site, Draft("Leak"), {"a.txt": f"{key}\n"})
        issue = site.tracker.create(Draft("Clean"))
        lease = site.tracker.claim(issue.id, owner=f"{issue.id}-1")
        site.tracker.start_attempt(lease, f"{issue.id}-1", agent="scripted", host="here", pid=1, pid_started=0.0)
        clean = commit_tree(site.hub, [leak.commit], {"a.txt": "nothing\n"})
        site.tracker.submit(lease, f"{issue.id}-1", commit=clean, base=site.main)
        site.run()
        assert site.state(leak) == "failed"
        assert site.main == site.main_at_start
