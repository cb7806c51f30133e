"""Tests, one folder a room of `src/tapeout`, and `real/` with real agent programs."""
