"""Several clones: `remote` is a git remote, `audit` judges the logs that come from it, `sync` exchanges them, `leases`
are claims that all clones respect.

What may go wrong: the remote cannot be reached (nothing changes on either side), a log on it is damaged or rewritten
(it is put aside and told of), another clone holds an issue (`HeldElsewhere`).
"""
