"""Rows of the fault table: a Redis that dies, falls back, forgets, refuses or is away."""

from __future__ import annotations

import time
from functools import partial

from tests.consistency.episode import Episode
from tests.consistency.row import Row


def restarted(e: Episode) -> None:
    """kill -9, and back with its append-only file."""
    for _ in e.times(2, 4):
        e.wait_progress()
        e.fault("Redis killed and started again")
        e.redis.kill()
        e.pause(0.0, 1.0)
        e.redis.start()
    e.wait_progress()


def rewound(e: Episode) -> None:
    """Back without its last seconds."""
    for _ in e.times(2, 4):
        e.wait_progress()
        e.redis.remember()
        e.pause(2.5, 4.0)  # a block of the state is changed, and not again afterwards
        e.fault("Redis back without its last seconds")
        e.redis.rewind()
        victim = e.any_member()
        if e.dice.random() < 0.5:
            e.fault(f"and {victim.name} killed at once")
            e.crew.kill(victim)
    e.wait_progress()


def emptied(e: Episode) -> None:
    """FLUSHALL in the middle of everything."""
    for _ in e.times(2, 5):
        e.wait_progress()
        e.fault("Redis emptied")
        e.redis.empty()
        if e.dice.random() < 0.3:
            victim = e.any_member()
            e.fault(f"and {victim.name} killed at once")
            e.crew.kill(victim)
    e.wait_progress()


def away(e: Episode) -> None:
    """Away for a minute, learning goes on."""
    e.wait_progress()
    seconds = 60 if e.long else 8
    e.fault(f"Redis away for {seconds} s")
    before = e.learned()
    e.redis.kill()
    time.sleep(seconds)
    e.redis.start()
    e.recovers(f"checkpoints, after a Redis that was away for {seconds} s")
    e.report.expect(e.learned() > before + seconds * e.row.rate / 2, "learning waited for Redis")


def refusing(e: Episode) -> None:
    """It answers every write with an error."""
    for how in ("oom", "misconf", "readonly") if e.long else ("oom", "readonly"):
        e.wait_progress()
        e.fault(f"Redis refuses writes: {how}")
        e.redis.refuse(how)
        e.pause(1.0, 3.0)
        e.redis.accept()
    e.wait_progress()


def hanging(e: Episode) -> None:
    """It takes connections and does not answer."""
    for _ in e.times(1, 2):
        e.wait_progress()
        e.fault("Redis hangs")
        e.redis.pause()
        time.sleep(e.dice.uniform(3.0, 6.0))
        e.redis.resume()
    e.wait_progress()


def failover(e: Episode) -> None:
    """Sentinel makes the replica the master."""
    for _ in e.times(1, 2):
        e.wait_progress()
        e.fault("Redis master killed, Sentinel fails over")
        before = e.redis.master_port()
        e.redis.kill_master()
        e.wait(lambda old=before: e.redis.master_port() not in (None, old), 40, "failover")
        e.wait_progress(seconds=60)
        e.redis.restart_killed()
        e.pause(3.0, 4.0)
    e.wait_progress()


TwoWorkers = partial(Row, workers=2)
ROWS = [
    TwoWorkers("redis-restarted", restarted, "Redis killed, back with its append-only file"),
    TwoWorkers("redis-rewound", rewound, "Redis back without its last seconds", forward=False, short=True),
    TwoWorkers("redis-emptied", emptied, "Redis emptied", forward=False),
    TwoWorkers("redis-away", away, "Redis away for a minute", seeds=1),
    TwoWorkers("redis-refusing", refusing, "Redis refuses writes (OOM, MISCONF, READONLY)", seeds=1),
    TwoWorkers("redis-hanging", hanging, "Redis takes connections and does not answer", seeds=1),
    TwoWorkers("redis-failover", failover, "failover by Sentinel", seeds=1, forward=False, redis="sentinels"),
]
