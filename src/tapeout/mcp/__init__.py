"""The tracker for any client of the Model Context Protocol: `tapeout mcp`, with the official SDK (`tapeout[mcp]`).

Ten tools (`tools`), served on standard input and output (`server`). They are another face of the command line, and sit
on top of it: what a tool answers is the `--json` envelope of the command, errors included, and what a command forbids
to an agent at work its tool forbids too.

What may go wrong: the extra is not installed (one line says how), the client goes away (the process ends when its
standard input does), two clients want the same issue (one of them gets it, the other is told who has it until when).
"""
