"""Rows of the fault table: workers that die, sleep, come and go, or own the same partition."""

from __future__ import annotations

import contextlib
import signal
import time

from kafka import KafkaConsumer

from tests.consistency.episode import Episode
from tests.consistency.row import Row


def kill(e: Episode) -> None:
    """kill -9 at random moments, a new process at once."""
    for _ in e.times(3, 6):
        e.pause(0.3, 4.0)
        victim = e.any_member()
        e.fault(f"kill -9 {victim.name}")
        e.crew.kill(victim)
    e.wait_progress()


def kill_all(e: Episode) -> None:
    """All workers killed at the same moment."""
    e.crew.wait_joined()
    for _ in e.times(1, 3):
        e.pause(0.5, 3.0)
        for member in e.crew:
            e.fault(f"kill -9 {member.name} with all others")
            e.crew.kill(member)
        e.wait_progress()


def zombie(e: Episode) -> None:
    """A worker sleeps beyond its session, others take over, it wakes and goes on where it was."""
    e.crew.wait_joined()
    for _ in e.times(1, 2):
        sleeper = e.any_member()
        e.fault(f"SIGSTOP {sleeper.name} for longer than its session")
        sleeper.send(signal.SIGSTOP)
        time.sleep(8.0)
        e.wait_progress(seconds=90)
        e.fault(f"SIGCONT {sleeper.name}")
        sleeper.send(signal.SIGCONT)
        e.pause(1.0, 3.0)


def churn(e: Episode) -> None:
    """Workers join and leave all the time."""
    for turn in e.times(3, 6):
        if turn % 2 == 0:
            e.fault("a worker joins")
            e.crew.join()
        e.pause(1.0, 4.0)
        if turn % 2 == 1:
            staying = [m for m in e.crew if m.wanted]
            member = e.dice.choice(staying)
            e.fault(f"{member.name} leaves")
            e.crew.leave(member)
    e.wait_progress()


def two_owners(e: Episode) -> None:
    """Two consumer groups on one model: every partition has two owners, all the time."""
    e.crew.join(env={"GRADSTREAM_GROUP_ID": f"{e.stream.name}-rival"})
    for _ in e.times(1, 3):
        e.crew.wait_joined()
        e.fault("two workers own the same partitions")
        e.pause(3.0, 5.0)
        victim = e.any_member()
        e.fault(f"and {victim.name} is killed")
        e.crew.kill(victim)
    e.crew.wait_joined()
    e.pause(3.0, 5.0)


def given_back(e: Episode) -> None:
    """The same partitions are revoked and given back at once: somebody joins the group for a moment."""
    e.crew.wait_joined()
    for _ in e.times(3, 8):
        e.pause(0.2, 1.5)
        e.fault("revoked and given back")
        with contextlib.closing(_passer_by(e)) as guest:
            until = time.monotonic() + e.dice.uniform(0.1, 1.5)
            while time.monotonic() < until:
                guest.poll(timeout_ms=100)
    e.wait_progress()


def _passer_by(e: Episode) -> KafkaConsumer:
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    return KafkaConsumer(
        e.stream.samples,
        bootstrap_servers=e.kafka.bootstrap,
        group_id=e.stream.name,
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
        enable_auto_commit=False,
        session_timeout_ms=6000,
    )


def clock(e: Episode) -> None:
    """A worker's wall clock jumps by hours, forth and back."""
    for _ in e.times(2, 4):
        e.wait_progress(1000)
        e.fault("clocks jump by up to a day")
    victim = e.any_member()
    e.fault(f"kill -9 {victim.name} at a wrong time")
    e.crew.kill(victim)
    e.wait_progress()


SLOW = {"TEST_SLOW_LOG": "0.2"}
ROWS = [
    Row("kill", kill, "kill -9 at random moments", seeds=3, short=True),
    Row("kill-all", kill_all, "all workers killed at the same moment"),
    Row("zombie", zombie, "SIGSTOP beyond the session, then SIGCONT", short=True),
    Row("churn", churn, "workers join and leave all the time", workers=2),
    Row("two-owners", two_owners, "two workers own the same partitions", workers=1, rate=4000, short=True),
    Row("slow-owners", two_owners, "and they read the log slowly", seeds=1, workers=1, env=SLOW, rate=2000),
    Row("given-back", given_back, "the same partition revoked and given back at once", workers=2),
    Row("clock", clock, "clocks of workers jump", seeds=1, workers=2, env={"TEST_CLOCK": "1"}),
]
