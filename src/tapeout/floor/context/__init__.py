"""How full an agent's context is, what follows from that, and what it is worth knowing afterwards.

`limits` says how full it may get, `meter` is the guard that watches it, `utilisation` remembers how full it was at each
verdict, `curve` shows whether that makes a difference.

What may go wrong: an agent reports nothing (its driver estimates, and says so), or only at the end of a turn (the limit
is noticed late: nothing can be done about tokens that nobody reported), or nonsense (a report is only ever a reason to
end a session early). No primary experiment backs the customary limit of 40 %; nothing here claims so.
"""
