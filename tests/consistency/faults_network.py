"""Rows of the fault table: brokers that die or do not lead any more, connections cut, slow or half-open."""

from __future__ import annotations

import time
from functools import partial

from tests.consistency.episode import Episode
from tests.consistency.row import Row


def broker(e: Episode) -> None:
    """kill -9 of the broker, and a new start."""
    for _ in e.times(1, 2):
        e.wait_progress()
        e.fault("broker killed and started again")
        e.kafka.kill()
        e.pause(0.0, 3.0)
        e.kafka.start()
        e.recovers("learning, after a broker that was killed serves again")
        e.wait_progress(seconds=90)


def leader(e: Episode) -> None:
    """The broker that leads the learning log dies: another takes over."""
    for _ in e.times(1, 3):
        e.wait_progress()
        node = e.kafka.leader(f"{e.stream.name}.learning-log")
        e.fault(f"broker {node}, leader of the learning log, killed")
        e.kafka.kill(node)
        e.recovers("learning, after the leader of the log was killed")
        e.wait_progress(seconds=90)
        e.kafka.start(node)
        e.pause(2.0, 4.0)


def moved(e: Episode) -> None:
    """Leaders move while all brokers live."""
    topics = [f"{e.stream.name}.learning-log", e.stream.samples, f"{e.stream.name}.predictions"]
    for topic in topics * len(e.times(1, 2)):
        e.wait_progress(seconds=90)
        e.fault(f"leader of {topic} moved")
        e.kafka.move_leader(topic, 0)
    e.wait_progress(seconds=90)


def cut(e: Episode) -> None:
    """All connections to the broker are cut at random moments."""
    for _ in e.times(3, 10):
        e.pause(0.3, 2.0)
        e.fault("connections cut")
        for proxy in e.kafka.proxies:
            proxy.cut()
    e.wait_progress()


def delayed(e: Episode) -> None:
    """Every byte takes its time."""
    for _ in e.times(1, 3):
        e.wait_progress()
        seconds = e.dice.uniform(0.1, 0.6)
        e.fault(f"connections delayed by {seconds:.1f} s")
        for proxy in e.kafka.proxies:
            proxy.delay(seconds)
        e.pause(3.0, 6.0)
        for proxy in e.kafka.proxies:
            proxy.heal()
    e.wait_progress(seconds=90)


def half_open(e: Episode) -> None:
    """Connections live and carry nothing, then they are gone."""
    for _ in e.times(1, 3):
        e.wait_progress(seconds=90)
        e.fault("connections half-open")
        for proxy in e.kafka.proxies:
            proxy.half_open()
        e.pause(2.0, 9.0)
        for proxy in e.kafka.proxies:
            proxy.heal()
    e.wait_progress(seconds=120)


def answers_lost(e: Episode) -> None:
    """Requests arrive and their answers do not: nobody knows whether an append is there."""
    for _ in e.times(1, 4):
        e.wait_progress(seconds=90)
        e.fault("answers of the broker lost")
        for proxy in e.kafka.proxies:
            proxy.one_way("to_client")
        e.pause(0.5, 2.0)
        for proxy in e.kafka.proxies:
            proxy.heal()
    e.wait_progress(seconds=120)


def failed_append(e: Episode) -> None:
    """The broker refuses a record in the middle of a pipeline of appends."""
    log = f"{e.stream.name}.learning-log"
    for _ in e.times(2, 4):
        e.wait_progress(seconds=60)
        e.fault("appends refused")
        e.topic_config(log, max_message_bytes="300")
        e.pause(0.3, 1.5)
        e.topic_config(log, max_message_bytes=str(8 * 1024 * 1024))
    e.wait_progress(seconds=60)


def outputs_refused(e: Episode) -> None:
    """The predictions topic takes nothing for a while: what is not predicted is not learned."""
    for _ in e.times(1, 3):
        e.wait_progress(seconds=60)
        e.fault("predictions refused")
        e.topic_config(f"{e.stream.name}.predictions", max_message_bytes="50")
        time.sleep(e.dice.uniform(0.5, 2.0))
        for member in list(e.crew)[:1]:
            e.fault(f"kill -9 {member.name} meanwhile")
            e.crew.kill(member)
        time.sleep(1.0)
        e.topic_config(f"{e.stream.name}.predictions", max_message_bytes=str(8 * 1024 * 1024))
    e.wait_progress(seconds=90)


TwoWorkers = partial(Row, workers=2, appends_certain=False)
ROWS = [
    TwoWorkers("broker", broker, "broker killed and restarted"),
    TwoWorkers("leader", leader, "leader of the log killed (three brokers)", seeds=1, cluster="three"),
    TwoWorkers("leader-moved", moved, "leaders moved (three brokers)", seeds=1, cluster="three"),
    TwoWorkers("cut", cut, "connections cut", proxied=True, short=True),
    TwoWorkers("delayed", delayed, "connections delayed", seeds=1, proxied=True),
    TwoWorkers("half-open", half_open, "connections half-open", seeds=1, proxied=True),
    TwoWorkers("answers-lost", answers_lost, "answers lost: appends in doubt", proxied=True),
    TwoWorkers("failed-append", failed_append, "a failed append amid a pipeline", short=True),
    TwoWorkers("outputs-refused", outputs_refused, "the predictions topic takes nothing"),
]
