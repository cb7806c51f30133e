"""The floor: takes ready issues, starts workers, lands what the gate passes. Supervision costs no tokens.

Where to look: `dispatch` and `policy` decide (pure), `loop` carries out (the floor's own process), `worker` is the
process of one attempt, `salvage` saves what a killed worker left, `prompting` and `report` write for agents and people,
`status` is what people see, `lock` keeps a second floor out.

What may go wrong: anything can be killed at any moment. The tracker and the hub are the only memory: a new floor
adopts the workers that live, salvages those that died, and the gate's process reconciles landings from git.

This file imports nothing: workers, floor and command line each load only what they need.
"""
