"""A broker that goes away: for a while, and nothing happens; for good, and a worker still ends when told."""

from __future__ import annotations

from pathlib import Path

from infra.local import LocalStack
from tests.integration.harness import Stream, terminate
from tests.integration.test_worker import DENSE, folded_tensors, labelled, samples, without_names


def test_a_broker_restart_is_survived_and_a_stop_without_a_broker_takes_seconds(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "servers") as stack:
        status = stack.status()
        assert status.kafka is not None
        assert status.redis is not None
        stream = Stream(status.kafka, status.redis, "model", tmp_path, DENSE.format(name="model"))
        try:
            stream.create()
            stream.produce(samples(2000))
            worker = stream.worker()
            stream.wait_learned(labelled(2000))
            stack.kill_kafka()
            stack.start()
            stream.produce(samples(2000, seed=4))
            stream.wait_learned(2 * labelled(2000))
            fields, learned = folded_tensors(stream)
            assert len(learned) == len(set(learned)) == 2 * labelled(2000)
            assert without_names(stream.tensors()) == fields
            stack.kill_kafka()
            assert terminate(worker, timeout=10) == 0
        finally:
            stream.stop_all()
