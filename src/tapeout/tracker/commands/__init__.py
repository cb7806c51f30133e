"""What the tracker can do. Each module has some of `Tracker`'s methods, which check and then read or append.

`issues` files and shows, `edits` changes, `leases` claims, `attempts` and `changes` are the floor's and the gate's,
`attachments`, `past` (history, blame, undo), `finding`, `reports`, `transfers`. What one of them needs beyond the index
is in the package of its name and imported when it is called.
"""
