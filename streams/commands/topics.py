"""gradstream topics create: make the topics that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.commands._topic_plan import Step


@click.group()
def command() -> None:
    """The topics of the models."""


@command.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option(
    "--partitions",
    type=click.IntRange(1, 100_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Partitions of a samples topic that is missing.",
)
@click.option(
    "--replication-factor",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Copies of each new topic.  [default: the broker's]",
)
@click.option("--model", "model_name", metavar="NAME", help="Only the topics of this model.")
def create(dry_run: bool, partitions: int, replication_factor: int | None, model_name: str | None) -> None:
    """Make what is missing, and nothing else; safe to run again.

    Labels, predictions and dead letters get as many partitions as the samples topic has, the learning log
    gets one. A samples or labels topic that is there is left as it is.
    """
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._common import console, load, model_settings, plain_table
    from streams.commands._topic_plan import carry_out, plan_for

    settings = load()
    models = list(settings.models.values()) if model_name is None else [model_settings(settings, model_name)]
    table = plain_table("topic", "model", "for", "partitions", "state", right=["partitions"])
    changes = 0
    try:
        with KafkaAdmin(settings.kafka) as admin:
            for step in plan_for(admin, models, partitions):
                if not dry_run:
                    carry_out(admin, step, replication_factor)
                changes += not step.nothing
                wanted = step.wanted
                count = wanted.partitions if step.create or step.extend_from is not None else step.found
                table.add_row(wanted.name, wanted.model, wanted.role, str(count), _told(step, dry_run))
    finally:  # what was done before a failure is told as well
        if table.row_count:
            console().print(table)
    if not changes:
        click.echo("Nothing to do.")
    elif dry_run:
        click.echo("Nothing was changed (--dry-run).")


def _told(step: Step, dry_run: bool) -> str:
    parts = []
    if step.create:
        settings = "".join(f", {name}={value}" for name, value in step.wanted.config.items())
        parts.append(("would be created" if dry_run else "created") + settings)
    if step.extend_from is not None:
        parts.append(f"{'would be extended' if dry_run else 'extended'} from {step.extend_from} partitions")
    if step.alter:
        settings = ", ".join(f"{name}={value}" for name, value in step.alter.items())
        parts.append(f"{'would get' if dry_run else 'got'} {settings}")
    return ", ".join(parts) or "there"
