"""Attempt memory: what each refused change was, and how it failed, kept for the next attempt and for other issues.

`signatures` tells failures apart by what stays the same from run to run (`normal` says what), `patches` changes.
`model` is what is kept of a round, as a note of its attempt, and `deadends` what a fresh session is told of it.
All of that is pure; `recorder` reads the hub and the gate's reports and writes the note.

What may go wrong: a check that says nothing but its exit code (its failures all look the same, and the memory says
only that much); a report that retention removed (the excerpt of the verdict is read instead); an enormous change (its
files are compared by their blobs beyond `patches.MOST_BYTES`).
"""
