"""Sharing issues with floors elsewhere that have only a git remote in common: exchange, and claims that all respect.

What may go wrong: another clone holds the issue (it is noted, so that this floor leaves it alone until then), the
remote cannot be reached (no new issue is begun until it can be; what is held already goes on until its lease runs out).
"""

import contextlib
import time
from collections.abc import Callable

import anyio
import anyio.to_thread

from tapeout.base.errors import Conflict, TapeoutError
from tapeout.base.paths import Repository, StatePaths
from tapeout.config import TrackerConfig
from tapeout.tracker import Tracker
from tapeout.tracker.sharing.leases import SETTING, SHARED_SECONDS, HeldElsewhere, SharedLease, SharedLeases
from tapeout.tracker.sharing.remote import Remote, Unreachable, default_remote

RENEWALS = 3
"""How often a shared lease is renewed in the time that it lives: two may fail."""

RETRY_SECONDS = 30.0
"""How long an issue is left alone when the remote could not be asked for it."""


def exchange(state_root: str, repository_root: str, git_dir: str, remote: str) -> None:
    """Entry of the job that exchanges issues with the remote; a failure is told in the log and tried again later."""
    paths = StatePaths(state_root)
    with Tracker.open(paths, "floor") as tracker:
        repository = Repository(repository_root, git_dir)
        try:
            report = tracker.sync(Remote(paths, repository, remote or default_remote(repository)))
        except TapeoutError as error:
            tracker.record_once("sync-failed", error.message)
            return
        tracker.record_once("sync-failed", "")
        for one in report.quarantined:
            tracker.record_once(f"log-quarantined-{one.replica}", one.reason)


def share_claims(tracker: Tracker, repository: Repository, config: TrackerConfig) -> None:
    """Let claims by hand, which do not read `tapeout.toml`, know what it says about sharing them."""
    shared = config.claims == "shared"
    tracker.change_setting(SETTING, (config.remote or default_remote(repository)) if shared else "")


class Hold:
    """One issue that a worker holds on the remote; nothing at all where claims are not shared."""

    def __init__(self, shared: SharedLeases | None = None, lease: SharedLease | None = None) -> None:
        self._shared = shared
        self._lease = lease

    async def keep(self, lost: Callable[[], None]) -> None:
        """Renew the lease for ever; call `lost` and end when it is somebody else's or has run out."""
        while self._shared is not None and self._lease is not None:
            await anyio.sleep(SHARED_SECONDS / RENEWALS)
            try:
                self._lease = await anyio.to_thread.run_sync(self._shared.renew, self._lease)
            except Conflict:
                lost()
                return
            except TapeoutError:
                if time.time() >= self._lease.expires:
                    lost()
                    return

    async def release(self) -> None:
        """Tell the others what became of the issue, and only then give it back: whoever takes it next knows. If the
        remote cannot be reached, the lease runs out by itself."""
        if self._shared is not None and self._lease is not None:
            with contextlib.suppress(TapeoutError):
                self._shared.exchange()
                await anyio.to_thread.run_sync(self._shared.release, self._lease)


def take(tracker: Tracker, repository: Repository, config: TrackerConfig, issue: str, attempt: str) -> Hold | None:
    """Take an issue on the remote, if claims are shared; None if it is not to be had now, which is then noted.

    What became of the issue elsewhere is known here afterwards: look again whether it is ready.
    """
    if config.claims == "local":
        return Hold()
    try:
        remote = Remote(tracker.paths, repository, config.remote or default_remote(repository))
        shared = SharedLeases(tracker, remote)
        hold = Hold(shared, shared.take(issue, attempt))
        shared.exchange()
    except HeldElsewhere as error:
        tracker.note_held_elsewhere(issue, error.lease.owner, error.lease.expires)
    except Unreachable as error:
        tracker.note_held_elsewhere(issue, "nobody, but the remote cannot be reached", time.time() + RETRY_SECONDS)
        tracker.record_once("sync-failed", error.message)
    else:
        return hold
    return None
