"""`--from FILE|TOPIC`: which recording is meant, and opening it; what reads it is imported then."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.errors import GradstreamError

if TYPE_CHECKING:
    from infra.settings import Settings
    from models.spec import ModelSpec
    from streams.commands._columns import Format
    from streams.commands._recorded_file import RecordedFile
    from streams.commands._recorded_topic import RecordedTopic
    from streams.evaluation.recording import Counts, Recording
    from streams.ingest import Ingest

Function = TypeVar("Function", bound=Callable[..., Any])
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_OPTIONS = (
    click.option(
        "--from",
        "source",
        required=True,
        metavar="FILE|TOPIC",
        help="Recorded samples: a JSON Lines or CSV file (- is standard input), else a topic.",
    ),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N records."),
    click.option("--key", metavar="COLUMN", help="Column of a file with the record's key: no feature."),
    click.option("--id", "id_", metavar="COLUMN", help="Column of a file with the sample's id: no feature."),
    click.option("--label", metavar="COLUMN", help="Column of a file with the label."),
    click.option("--timestamp", metavar="COLUMN", help="Column of a file with the event time."),
    click.option(
        "--format",
        "form",
        type=click.Choice(["jsonl", "csv"]),
        help="What the file is.  [default: by its ending; jsonl for -]",
    ),
)


class NoRecording(GradstreamError):
    """`--from` names nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say; see `recording_options`."""

    source: str
    limit: int | None
    key: str | None
    id_: str | None
    label: str | None
    timestamp: str | None
    form: Format | None


def recording_options(function: Function) -> Function:
    """Give a command the options of `Asked`, as `produce` has them for files."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@contextmanager
def opened(asked: Asked, settings: Settings, ingest: Ingest) -> Iterator[Recording]:
    """The recording: a file where one of that name is there, else a topic.

    Raises NoRecording where there is neither, and click.UsageError for options that do not go with it.
    `ingest` knows the event times of a topic's records.
    """
    path = Path(asked.source)
    if asked.source == "-" or (path.exists() and not path.is_dir()):
        with _file(asked) as file:
            yield file
            _note_unnamed(file)
    else:
        yield _topic(asked, settings, ingest)


@contextmanager
def _file(asked: Asked) -> Iterator[RecordedFile]:
    from streams.commands._columns import Columns, format_of
    from streams.commands._messages import MessageReader
    from streams.commands._recorded_file import RecordedFile

    path = Path(asked.source)
    form = format_of(path, asked.form)
    columns = Columns(asked.key, asked.id_, asked.label, asked.timestamp)
    if asked.source == "-":
        yield RecordedFile(MessageReader(columns, "standard input"), sys.stdin.buffer, form, None)
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise NoRecording(f"--from {path}: cannot be read: {error.strerror}") from None
    with stream:
        size = path.stat().st_size if path.is_file() else None
        yield RecordedFile(MessageReader(columns, str(path)), stream, form, size)


def _topic(asked: Asked, settings: Settings, ingest: Ingest) -> RecordedTopic:
    from infra.kafka_admin import KafkaAdmin, KafkaUnavailable
    from streams.commands._recorded_topic import RecordedTopic

    topic = asked.source
    if Path(topic).is_dir():
        raise NoRecording(f"--from {topic}: is a folder; expected a file of samples or a topic")
    if not _TOPIC.fullmatch(topic):
        raise NoRecording(f"--from {topic}: no such file, and no topic can have this name")
    try:
        with KafkaAdmin(settings.kafka) as admin:
            starts = admin.start_offsets(topic)
    except KafkaUnavailable as error:
        raise NoRecording(f"--from {topic}: no such file, and as a topic: {error}") from error
    for option in ("key", "id_", "label", "timestamp", "form"):
        if getattr(asked, option) is not None:
            name = {"id_": "id", "form": "format"}.get(option, option)
            raise click.UsageError(
                f"--{name} is for files; {topic} is a topic, which has samples already",
                click.get_current_context(),
            )
    return RecordedTopic(settings.kafka, topic, starts, ingest)


def note_untimed(spec: ModelSpec, counts: Counts) -> None:
    """Tell when the model takes the time for a feature, and samples of a file have none."""
    if spec.features.time and counts.untimed:
        click.echo(
            f"note: features.time is declared, and {counts.untimed:,} samples have no timestamp, so they "
            "count as of 1970-01-01T00:00Z; if a column has the time, name it with --timestamp",
            err=True,
        )


def _note_unnamed(file: RecordedFile) -> None:
    for column in sorted(file.reader.unnamed):
        option = f"name it with --{column} {column}" if column != "weight" else "it is no sample weight there"
        click.echo(f"note: column '{column}' was read as a feature; {option} if that is not meant", err=True)
