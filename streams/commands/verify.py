"""gradstream verify: is what Redis has of a model what its learning log gives, to the bit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.commands._verified import Verdict

SHOWN = 30


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(name: str, as_json: bool) -> None:
    """Fold the learning log of the model NAME from its start, and compare with its checkpoint in Redis.

    Tensors, counts, next offsets, metrics and digest are compared at the checkpoint's log offset. Nothing is
    written, and workers may run meanwhile. The exit code is 1 if something differs.
    """
    from models.errors import GradstreamError
    from streams.commands._common import load, print_json
    from streams.commands._verified import verify

    verdict = verify(load(), name)
    if as_json:
        print_json(verdict.document())
    else:
        _show(verdict)
    if verdict.differences:
        what = ", ".join(one.what for one in verdict.differences[:3])
        more = f" and {len(verdict.differences) - 3} more" if len(verdict.differences) > 3 else ""
        raise GradstreamError(
            f"model {name}: its checkpoint in Redis differs from the learning log at offset "
            f"{verdict.log_offset}: {what}{more}; stop the workers, delete the keys gradstream:{{{name}}}*, "
            "and a worker writes them again from the log"
        )


def _show(verdict: Verdict) -> None:
    from streams.commands._common import console, plain_table

    out = console()
    if verdict.differences:
        table = plain_table("what differs", "by the log", "in Redis")
        for one in verdict.differences[:SHOWN]:
            table.add_row(one.what, one.expected, one.found)
        out.print(table)
        if len(verdict.differences) > SHOWN:
            out.print(f"and {len(verdict.differences) - SHOWN:,} more: --json has them", style="dim")
        return
    out.print("✔", style="green", end=" ")
    out.print(
        f"{verdict.model}: the checkpoint in Redis (version {verdict.version}) is what the learning log "
        f"gives at offset {verdict.log_offset:,}: {verdict.tensors} tensors, "
        f"{verdict.samples_learned:,} samples learned, digest {verdict.digest}"
    )
