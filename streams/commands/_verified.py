"""A checkpoint against its learning log: what has to be there, the fold from the start, the comparison.

The specification is that of the log's genesis, because the settings may have changed since. The checkpoint is
read once, so workers may move on meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import GradstreamError

if TYPE_CHECKING:
    from infra.kafka_admin import TopicInfo
    from infra.settings import KafkaSettings, Settings
    from infra.store import Checkpoint
    from models.spec import ModelSpec
    from streams.verify import Difference, Tell


class NotVerifiable(GradstreamError):
    """The log does not reach from its beginning to where the checkpoint stands, or is another one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for one model at `log_offset`."""

    model: str
    version: int
    log_offset: int
    samples_learned: int
    tensors: int
    digest: str
    differences: list[Difference]

    def document(self) -> dict[str, Any]:
        """All of it for machines."""
        unequal = [{"what": d.what, "log": d.expected, "redis": d.found} for d in self.differences]
        return {
            "model": self.model,
            "equal": not unequal,
            "version": self.version,
            "log_offset": self.log_offset,
            "samples_learned": self.samples_learned,
            "digest": self.digest,
            "differences": unequal,
        }


def verify(settings: Settings, name: str) -> Verdict:
    """Fold the log and compare; raises GradstreamError where that cannot be done."""
    from streams.commands._common import with_store
    from streams.commands._live import find_live
    from streams.verify import differences

    find_live(settings, name)  # for its words where there is none, or something else under the key
    stored = with_store(settings.redis, lambda store: store.load(name))
    if stored is None:
        raise NotVerifiable(f"model {name}: its checkpoint was deleted just now; try again")
    log = _log_of(settings, name, stored)
    spec = _begun_with(settings.kafka, log, name)
    with _progress() as tell:
        expected = asyncio.run(_fold(settings.kafka, log, name, spec, stored.log_offset, tell))
    return Verdict(
        model=name,
        version=int(stored.text["version"]),
        log_offset=stored.log_offset,
        samples_learned=int(expected.text["samples_learned"]),
        tensors=len(expected.tensors),
        digest=expected.text["digest"],
        differences=differences(expected, stored),
    )


def _log_of(settings: Settings, name: str, stored: Checkpoint) -> TopicInfo:
    """The learning log, if it is the checkpoint's and reaches from 0 to it."""
    from infra.kafka_admin import KafkaAdmin
    from streams.commands._live import log_topic

    topic, reset = log_topic(settings, name), f"forget the model: gradstream reset {name}"
    with KafkaAdmin(settings.kafka) as admin:
        log = admin.require(topic)
        start, end = admin.start_offsets(topic)[0], admin.end_offsets(topic)[0]
    if log.topic_id != stored.log_topic_id:
        raise NotVerifiable(
            f"model {name}: its checkpoint in Redis belongs to another learning log than {topic}, which was "
            f"deleted or made again; {reset}"
        )
    if start > 0:
        raise NotVerifiable(
            f"model {name}: cannot be verified from the start: the log {topic} begins at {start}; what was "
            "before is deleted (learning_log_retention), and there is no snapshot to begin with"
        )
    if end < stored.log_offset:
        raise NotVerifiable(
            f"model {name}: the log {topic} ends at {end}, before the checkpoint's offset "
            f"{stored.log_offset} (truncated?); {reset}"
        )
    return log


def _begun_with(kafka: KafkaSettings, log: TopicInfo, name: str) -> ModelSpec:
    """The specification in the log's genesis, if this machine's fold and kernels are those of it."""
    import msgspec

    from models.self_test import self_test_digest
    from models.spec import ModelSpec
    from streams.commands._reading import read_between
    from streams.fold import check_genesis

    first = read_between(kafka, log.name, {0: (0, 1)})
    genesis = next((bytes(record.value or b"") for record in first if record.key == b"genesis"), b"")
    try:
        spec = msgspec.convert(msgspec.json.decode(genesis)["spec"], ModelSpec)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise NotVerifiable(
            f"topic {log.name}: does not begin with a genesis record of this release, so it cannot be "
            f"folded ({type(error).__name__}: {error})"
        ) from None
    check_genesis(genesis, spec, self_test_digest(spec), name)
    return spec


async def _fold(
    kafka: KafkaSettings, log: TopicInfo, name: str, spec: ModelSpec, until: int, tell: Tell
) -> Checkpoint:
    """The checkpoint that the log gives at `until`."""
    from aiokafka.errors import KafkaError

    from infra.kafka_clients import aiokafka_config
    from infra.kafka_errors import KafkaUnavailable, reason
    from infra.memory_store import MemoryStore
    from streams.checkpoints import Checkpoints
    from streams.learning_log import LogReader
    from streams.verify import fold_to, new_view

    view = new_view(spec)
    reader = LogReader(log.name, aiokafka_config(kafka))
    try:
        await reader.start()
        await fold_to(view, reader, until, tell)
    except KafkaError as error:
        raise KafkaUnavailable(f"cannot read topic {log.name}: {reason(error)}") from error
    finally:
        await reader.stop()
    return Checkpoints(name, spec, view, MemoryStore(), log.topic_id).whole()


@contextmanager
def _progress() -> Iterator[Tell]:
    """A progress bar on a terminal, else a line on standard error every ten seconds."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from streams.commands._common import console

    columns = (TextColumn("folding the log"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda at, until: progress.update(task, completed=at, total=until)


class _Lines:
    """Progress for those who read a log: seldom, and not of a fold that is quick."""

    EVERY = 10.0

    def __init__(self) -> None:
        import time

        self._clock = time.monotonic
        self._told = self._clock()

    def tell(self, at: int, until: int) -> None:
        import click

        if self._clock() - self._told > self.EVERY:
            self._told = self._clock()
            click.echo(f"folding the log: {at:,} of {until:,} records ({at / until:.0%})", err=True)
