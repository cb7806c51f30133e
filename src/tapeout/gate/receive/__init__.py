"""The hub as the only way in: `git push HUB HEAD:refs/for/main` puts a commit into the queue, and no other push works.

`setup` writes the hub's git settings and hooks; `request` says what a push asks for, without I/O; `pktline` is how git
speaks with a hook; `submit` examines a pushed commit and puts it into the queue. The hooks run `tapeout.cli.receive`.

What may go wrong: objects, names and options of a push are anybody's text (git checks objects before they get in, names
and options are parsed strictly and printed without control characters); a hook is killed (a ref keeps the commit before
the tracker hears of it, in one transaction; the same push again finds what was done). A push by path runs with the
pusher's own rights: what is refused here keeps people from mistakes; against somebody who writes to the hub's files
there is `gate.evidence.audit`.
"""

from tapeout.gate.receive.submit import Queued, enqueue, examine

__all__ = ["Queued", "enqueue", "examine"]
