"""The plan for a fresh session and the digest for whoever steers, each within a budget of tokens.

`facts` and `digest_facts` read from the index, `primer` and `digest` make text of it, of `lines` in `sections`;
`clipping` makes the text of others safe and short, `model` is what passes between them.

What may go wrong: the budget is too small or too large. However many issues there are, every query ends soon.
"""
