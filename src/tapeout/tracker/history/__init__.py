"""Looking back: `replay` says what each operation of an issue changed, `entries` tells it (history, blame), `undo` says
which operations set it back. Pure: operations in, values out.

What may go wrong: somebody changed since what should be undone (`Conflict`), or it happened for good (`NotAllowed`).
"""
