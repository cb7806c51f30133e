"""Budgets: what an attempt, an issue, a lane and a run of the floor may use, and what they have used.

    spend     what was used, added up; a meter that reads it from what a session reports
    limits    a budget as data, and whether it is reached
    guard     cuts a session that reaches one
    run       a run of the floor, and which budgets are used up in it
    ledger    what the attempts of a run have used, as the tracker remembers it
    accounts  one attempt's: writes down what it uses, and says what follows when it ends

Every attempt keeps what it used in a note of its own, so all sums are made from the tracker and survive a restart.
The first three are pure.
"""
