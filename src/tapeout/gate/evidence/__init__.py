"""Evidence: why a commit is on main, in a form that can be checked and that nobody but this hub can write.

`record` is what a gate run found, `statement` the same as an in-toto Statement, `seal` a signature that only the holder
of this hub's key can make, `notes` the git notes that carry it. `trust` keeps the key, and which commits people put on
their branch; `audit` looks whether main only ever moved with evidence; `verify` recomputes all that can be.

What may go wrong: somebody forges a note or moves main (both are told apart from what this hub did: it has the key);
the key is lost (notes made with it are not this hub's any more: docs/decisions/0023); logs were removed by retention.
"""

from tapeout.gate.evidence.notes import NOTES_REF, Note, attach, read_evidence, read_note, read_sealed
from tapeout.gate.evidence.record import Origin, Record, record_of, write_record

__all__ = [
    "NOTES_REF",
    "Note",
    "Origin",
    "Record",
    "attach",
    "read_evidence",
    "read_note",
    "read_sealed",
    "record_of",
    "write_record",
]
