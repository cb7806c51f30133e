"""The query language: text to a tree (`language`, with the `fields` that it can name), the tree to SQL (`sql`), and the
full-text `search` that its words need.

What may go wrong: a text is no query (`UsageError`, which names the character); this SQLite has no FTS5.
"""
