"""What every room stands on: errors with exit codes, where things live, git and processes.

Nothing here knows what an issue is. Import the modules directly (`from tapeout.base.errors import NotFound`);
this file stays empty so that a tracker command pays only for what it uses.
"""
