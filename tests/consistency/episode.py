"""One run of one row of the fault table: a stream, a crew, faults, and the audit of what is left."""

from __future__ import annotations

import contextlib
import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from tests.consistency.audit import Report
from tests.consistency.crew import Crew, Member
from tests.consistency.feeder import Feeder
from tests.consistency.kafka_cluster import KafkaCluster
from tests.consistency.row import Row
from tests.consistency.verdict import judge
from tests.consistency.watcher import Watcher
from tests.integration.harness import Stream

SETTLE_SECONDS = 120
LINE_SECONDS = 40
"""How long a worker that cannot go on may take to say so and end."""


@dataclass
class Episode:
    """What a row's faults act on."""

    row: Row
    seed: int
    kafka: KafkaCluster
    redis: Any
    folder: Path
    broken: str = ""
    long: bool = False
    report: Report = field(default_factory=Report)
    dice: random.Random = field(init=False)
    stream: Stream = field(init=False)
    crew: Crew = field(init=False)
    feeder: Feeder = field(init=False)
    watcher: Watcher = field(init=False)
    # What the audit has to know of what a row did:
    input_deleted: bool = False
    input_compacted: bool = False
    predicted: bool = True

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.row.name} {self.seed}")
        name = f"{self.row.name}-{self.seed}-{uuid.uuid4().hex[:6]}"
        address = self.kafka.proxied_bootstrap if self.row.proxied else self.kafka.bootstrap
        top = f'group_id = "{name}"\nsession_timeout = "6s"\n'
        table = self.row.table.format(name=name)
        self.stream = Stream(address, "", name, self.folder, table, self.row.partitions, top)

    @property
    def log_topic(self) -> str:
        """The learning log."""
        return f"{self.stream.name}.learning-log"

    # What rows do

    def fault(self, what: str) -> None:
        """Count a fault that is being injected."""
        self.report.faults += 1
        self.report.events.append(what)

    def pause(self, least: float, most: float) -> None:
        """Let things go on for a random time."""
        time.sleep(self.dice.uniform(least, most))

    def times(self, short: int, long: int) -> range:
        """How often, in the short form and in the long one."""
        return range(long if self.long else short)

    def any_member(self) -> Member:
        """One of the crew that has a living process."""
        return self.dice.choice([m for m in self.crew if m.process is not None and m.process.poll() is None])

    def all_leave(self) -> None:
        """All workers stop in good order."""
        for member in self.crew:
            if member.process is not None and member.process.poll() is None:
                self.crew.leave(member)

    def all_back(self) -> None:
        """All places are filled again."""
        for member in self.crew:
            self.crew.back(member)
        self.crew.wait_joined()

    def supervise(self, on: bool) -> None:
        """Whether workers that end with an error are started again."""
        self.crew.supervise(on)

    def topic_config(self, topic: str, **config: str) -> None:
        """Alter a topic's settings."""
        named = {name.replace("_", "."): value for name, value in config.items()}
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)) as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=named)])

    def command_until_done(self, *arguments: str) -> None:
        """A gradstream command, again until it succeeds: a topic takes its time to be gone."""
        config = str(self.direct_config())
        self.wait(
            lambda: self.stream.command("--config", config, *arguments, check=False).returncode == 0,
            40, " ".join(arguments),
        )  # fmt: skip

    # What rows wait for

    def wait(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Until something holds; the crew's last lines are told where it does not."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, f"{what}: not within {seconds} s\n{self.crew.tails()}"
            time.sleep(0.1)

    def checkpoint(self) -> dict[str, str]:
        """The readable part of the checkpoint; empty while Redis does not answer."""
        with contextlib.suppress(Exception), contextlib.closing(self.redis.client()) as client:
            found = client.hgetall(f"gradstream:{{{self.stream.name}}}")
            return {k.decode(): v.decode() for k, v in found.items()}
        return {}

    def tensors(self) -> dict[bytes, bytes]:
        """The stored blocks of the state."""
        with contextlib.closing(self.redis.client()) as client:
            found: dict[bytes, bytes] = client.hgetall(f"gradstream:{{{self.stream.name}}}:tensors")
        return found

    def learned(self) -> int:
        """Samples learned, as the last checkpoint has it."""
        return int(self.checkpoint().get("samples_learned", 0))

    def wait_progress(self, samples: int = 200, seconds: float = 60) -> None:
        """Until so many more samples are learned."""
        before = self.learned()
        self.wait(lambda: self.learned() >= before + samples, seconds, f"learning of {samples} samples")

    def recovers(self, what: str, seconds: float = 90) -> None:
        """Learning goes on, as the checkpoint shows; how long that takes from now on is reported."""
        begun = time.monotonic()
        self.wait_progress(1, seconds)
        self.report.recoveries.append((what, time.monotonic() - begun))

    def must_end(self, *words: str) -> None:
        """All workers end with an error, in one line that has these words."""
        self.wait(
            lambda: all(m.process is None or m.process.poll() is not None for m in self.crew),
            LINE_SECONDS, "the end of all workers",
        )  # fmt: skip
        for member in self.crew:
            self._check_end(member, words)

    def must_stop(self, *words: str) -> None:
        """A worker that is started now ends with an error, in one line that has these words."""
        member = self.crew.members[0]
        self.crew.back(member)
        self.supervise(False)
        assert member.process is not None
        member.process.wait(LINE_SECONDS)
        self._check_end(member, words)

    def _check_end(self, member: Member, words: tuple[str, ...]) -> None:
        line = member.last_line()
        assert member.process is not None
        right = member.process.returncode == 1 and line.startswith("gradstream: ")
        self.report.expect(
            right and all(word in line for word in words),
            f"expected exit 1 and one line with {words}, found {member.process.returncode} and: {line}",
        )

    # The frame

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Topics, crew and feeder; none is left behind."""
        stream, row = self.stream, self.row
        self.write_config()
        copies = ["--replication-factor", "3"] if row.cluster == "three" else []
        create = ["topics", "create", "--partitions", str(row.partitions), *copies]
        stream.command("--config", str(self.direct_config()), *create)
        with (
            Crew(stream.config, self.folder, self._crew_env()) as self.crew,
            Feeder(self.kafka.bootstrap, stream.samples, row.partitions, row.rate, row.keys) as self.feeder,
            Watcher(self.redis, stream.name) as self.watcher,
        ):
            for number in range(row.workers):
                self.crew.join(env={"GRADSTREAM_GROUP_INSTANCE_ID": f"static-{number}"})
            yield

    def play(self) -> Report:
        """Run the row, let everybody finish, audit."""
        with self.running():
            self.row.run(self)
            self.feeder.stop()
            self.settle()
            judge(self)
        return self.report

    def settle(self) -> None:
        """Until the fold has all that there is, and all workers have the fold; then all stop."""
        until = time.monotonic() + SETTLE_SECONDS
        while not self._all_folded():
            if time.monotonic() > until:
                found = self.checkpoint().get("offsets")
                self.report.problems.append(
                    f"not done after {SETTLE_SECONDS} s: {found} of {self.ends()}\n{self.crew.tails()}"
                )
                break
            time.sleep(0.2)
        self.crew.wait_joined()
        time.sleep(1.0)
        codes = self.crew.dismiss(30)
        self.report.expect(not any(codes), f"workers stopped with {codes}\n{self.crew.tails()}")

    def ends(self) -> dict[str, int]:
        """Samples partition → offset after its last committed record."""
        with contextlib.closing(
            KafkaConsumer(bootstrap_servers=self.kafka.bootstrap, isolation_level="read_committed")
        ) as consumer:
            parts = consumer.partitions_for_topic(self.stream.samples) or ()
            ends = consumer.end_offsets([TopicPartition(self.stream.samples, p) for p in parts])
        return {f"{tp.topic}-{tp.partition}": end for tp, end in ends.items()}

    def _all_folded(self) -> bool:
        offsets: Mapping[str, int] = json.loads(self.checkpoint().get("offsets", "{}"))
        return all(offsets.get(name, 0) >= end for name, end in self.ends().items())

    def _crew_env(self) -> dict[str, str]:
        broken = {"TEST_BROKEN": self.broken} if self.broken else {}
        return {**broken, **self.row.env}

    def write_config(self) -> None:
        """The crew's settings: through the proxies where the row wants it."""
        stream = self.stream
        stream.config.write_text(
            f'{stream.top}\n[kafka]\nbootstrap_servers = "{stream.kafka}"\n{self._redis_table()}\n'
            f'[models."{stream.name}"]\nsamples = "{stream.samples}"\n{stream.table}\n'
        )

    def direct_config(self) -> Path:
        """The same with the servers' own addresses, for commands that are not under test."""
        text = self.stream.config.read_text().replace(self.stream.kafka, self.kafka.bootstrap)
        path = self.folder / f"{self.stream.name}.direct.toml"
        path.write_text(text)
        return path

    def _redis_table(self) -> str:
        settings = getattr(self.redis, "settings", None)
        return settings if isinstance(settings, str) else f'[redis]\nurl = "{self.redis.url}"\ntimeout = "2s"'
