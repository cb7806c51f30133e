"""Issues on their way in and out: other tools' files and ours. No network.

A file's items become `Record`s (`formats`), one converter a format: `beads`, `github`, `native`. `plan` says which
operations bring a tracker to what the records say; `imports` reads the index for it and collects them. The other way,
`exports` reads records from the index and the same converters write them. `snapshot` makes Markdown pages of them,
`folder` keeps those on disk.

What may go wrong: an item is not valid (`UsageError`, which names file, line or index, and field; nothing is imported).
What a format has no word for is kept as a label, a comment or metadata, and said in a note.
"""

from tapeout.tracker.transfer.record import Attachment, Note, Record, Remark

__all__ = ["Attachment", "Note", "Record", "Remark"]
