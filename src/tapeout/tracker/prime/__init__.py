"""The plan for a fresh session: `facts` reads it from the index, `primer` makes text of it within a budget of tokens,
`clipping` makes the text of others safe and short, `model` is what passes between them.

What may go wrong: the budget is too small or too large. However many issues there are, every query ends soon.
"""
