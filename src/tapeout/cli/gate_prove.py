"""`tapeout gate prove`: which checks can go red."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from tapeout.base.errors import GateFailed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.gate.prove import Proof


def add_prove(parser: Describes) -> None:
    """Arguments of `gate prove`."""
    parser.add_argument("revision", nargs="?", default="HEAD", help="the commit to plant into; default HEAD")
    parser.add_argument("--check", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--every", action="store_true", help="plant all defects, also once a check has seen one")
    add_json(parser)
    parser.set_defaults(run=_prove, for_people=True)


def _prove(arguments: argparse.Namespace) -> Result:
    from tapeout.gate.prove import prove

    context = here()
    proofs = prove(
        context.paths, context.repository, arguments.revision, names=tuple(arguments.check), every=arguments.every
    )
    data = {"checks": [{**asdict(one), "proven": one.proven} for one in proofs]}
    unproven = [one.check for one in proofs if not one.proven]
    if not unproven:
        return Result(data, lambda: _text(proofs))
    if not arguments.json:
        print(_text(proofs))  # noqa: T201
    raise GateFailed(
        f"never seen red: {', '.join(unproven)}",
        hint="give the check a `defect` that it must see, or mend its command",
        details=data,
    )


def _text(proofs: Sequence[Proof]) -> str:
    rows: list[tuple[Any, ...]] = []
    for proof in proofs:
        if proof.obstacle:
            rows.append((proof.check, proof.kind, "UNPROVEN", proof.obstacle, ""))
        for trial in proof.trials:
            word = "seen" if trial.seen else "missed"
            rows.append(
                (proof.check, proof.kind, word, f"{trial.defect} in {trial.path}".removesuffix(" in "), trial.reason)
            )
    return table(("check", "kind", "", "planted", "what it said"), rows)
