"""Spirals: an agent that does the same thing again and again, told from one that makes slow progress.

`rounds` compares what was submitted, over all sessions on an issue, by change and by failure; `session` watches the
tool calls of one session, while a turn runs; both are pure, with their thresholds as named constants. `guard` makes
them a guard of a session: it tells the agent once, and then ends the session with the evidence. What follows is
`floor.policy`'s to say.

What may go wrong: an agent that reports no tool calls, or none with their input, is judged by its rounds only; checks
that say nothing but their exit code hide progress (docs/explanation/spirals.md says what is measured of that).
"""
