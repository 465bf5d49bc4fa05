"""Rows of the fault table: a learning log that is gone. Workers stop, and nothing is overwritten."""

from __future__ import annotations

import time
from pathlib import Path

from kafka import TopicPartition

from tests.consistency.episode import Episode
from tests.consistency.faults_input import admin
from tests.consistency.row import Row


def made_again(e: Episode) -> None:
    """The log is deleted and made again while workers run."""
    e.wait_progress()
    before = e.tensors()
    e.supervise(False)
    e.fault("the learning log deleted and made again")
    with admin(e) as client:
        client.delete_topics([e.log_topic])
    e.command_until_done("topics", "create")
    e.must_end("gradstream reset")
    e.report.expect(bool(before), "nothing was saved before")
    after = e.tensors()
    e.must_stop("learning log since deleted and made again", "gradstream reset")
    e.report.expect(e.tensors() == after, "a checkpoint was overwritten")
    _begin_anew(e)


def truncated(e: Episode) -> None:
    """The log loses its end, as after an unclean election: it ends before the checkpoint's offset."""
    e.wait_progress(1000)
    e.supervise(False)
    e.all_leave()
    before = e.tensors()
    e.fault("the learning log truncated")
    e.kafka.kill()
    for path in sorted(Path(e.kafka.data(0)).glob(f"{e.log_topic}-0/*.log")):
        size = path.stat().st_size
        with open(path, "r+b") as file:
            file.truncate(size // 2)
    for path in Path(e.kafka.data(0)).glob(f"{e.log_topic}-0/*.snapshot"):
        path.unlink()  # of producers that the log does not know any more
    e.kafka.start()
    e.must_stop("before the checkpoint's offset", "gradstream reset")
    e.report.expect(e.tensors() == before, "a checkpoint was overwritten")
    _begin_anew(e)


def beginning_gone(e: Episode) -> None:
    """Retention takes the log's beginning: no matter with a checkpoint, the end without one."""
    e.wait_progress(1000)
    e.all_leave()
    offset = int(e.checkpoint()["log_offset"])
    e.fault("the log's beginning deleted, up to the checkpoint's offset")
    with admin(e) as client:
        client.delete_records({TopicPartition(e.log_topic, 0): offset})
    e.all_back()
    e.wait_progress()
    e.all_leave()
    e.fault("and Redis emptied")
    e.redis.empty()
    e.must_stop("begins at offset", "gradstream reset")
    e.report.expect(e.checkpoint() == {}, "something was written")
    _begin_anew(e)


def _begin_anew(e: Episode) -> None:
    """What the error line says: forget the model; it learns its input again from the beginning."""
    e.stream.command("--config", str(e.direct_config()), "reset", e.stream.name, "--yes", "--force")
    time.sleep(1.0)
    e.command_until_done("topics", "create")
    e.crew.forget_lines()
    e.all_back()
    e.wait_progress()


ROWS = [
    Row("log-again", made_again, "learning log deleted and created again", seeds=1, forward=False, workers=2),
    Row("log-truncated", truncated, "learning log truncated", seeds=1, forward=False, workers=2),
    Row("log-beginning", beginning_gone, "the log's beginning gone", seeds=1, forward=False, workers=2),
]
