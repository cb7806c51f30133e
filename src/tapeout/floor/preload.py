"""Imported by the fork server: all that workers and gate runs need, so that each of them starts in milliseconds."""

import gc

import tapeout.floor.salvage
import tapeout.floor.worker
import tapeout.gate.job  # noqa: F401
from tapeout import agents

agents.preload()
gc.collect()
gc.freeze()  # what is imported stays shared between the processes: the collector would touch, and so copy, it
