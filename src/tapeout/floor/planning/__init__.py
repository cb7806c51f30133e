"""`tapeout plan`: an agent in the planner's role proposes issues; a person approves them.

The planner works in a throw-away workspace of the repository and reads the digest; it never sees what workers said.
All that is taken from it is one file of issues, which is read with limits and checked strictly (`proposal`); what is
wrong goes back to the same session, at most twice (`session`). What passes is kept as a file (`plans`) until a person
has it filed. `prompts` is what the planner is told.

What may go wrong: the agent writes nothing, nonsense, a link, a pipe or a file without end (said to it, then to the
person); it hangs or fills its context (the session ends); we are killed (the next plan removes what was left).
"""
