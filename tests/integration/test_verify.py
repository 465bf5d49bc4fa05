"""`gradstream verify` folds a real learning log again and finds every bit that Redis has otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from infra.kafka_admin import KafkaAdmin
from infra.settings import KafkaSettings
from tests.integration.harness import Stream, opened, terminate
from tests.servers import Servers

TABLE = """
task = "binary"
save_every = "100ms"
learning_log_retention = "{retention}"
[models."{name}".features]
numeric = ["a"]
categorical = ["c"]
hash_bits = 14
"""


def samples(n: int) -> list[bytes]:
    return [
        json.dumps({"features": {"a": i % 9, "c": f"c{i % 5}"}, "label": int(i % 9 > 4)}).encode()
        for i in range(n)
    ]


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    table, top = TABLE.format(name=unique_name, retention="30d"), f'group_id = "{unique_name}"'
    made = Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions=2, top=top)
    with opened(made) as stream:
        yield stream


@pytest.fixture
def learned(stream: Stream) -> Stream:
    """A model with 500 samples and an end in the middle: two runs, several log records."""
    for _ in range(2):
        stream.produce(samples(250))
        stream.drain()
    return stream


def delete_log_before(stream: Stream, offset: int) -> None:
    """As retention does."""
    with KafkaAdminClient(bootstrap_servers=stream.kafka) as admin:
        admin.delete_records({TopicPartition(f"{stream.name}.learning-log", 0): offset})


def fails(stream: Stream, *arguments: str) -> str:
    done = stream.command("verify", stream.name, *arguments, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("gradstream: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def keys(stream: Stream) -> dict[bytes, bytes]:
    with stream.client() as client:
        names = client.keys(f"gradstream:{{{stream.name}}}*")
        return {name: client.dump(name) for name in names}


def test_what_workers_saved_is_equal_and_nothing_is_written(learned: Stream) -> None:
    before, ends = keys(learned), len(learned.log_records())
    verdict = json.loads(learned.command("verify", learned.name, "--json").stdout)
    assert verdict["equal"] is True
    assert verdict["differences"] == []
    assert verdict["samples_learned"] == 500
    assert verdict["log_offset"] == ends
    assert verdict["digest"] == learned.checkpoint()["digest"]
    done = learned.command("verify", learned.name)
    assert done.stdout.startswith(f"✔ {learned.name}: the checkpoint in Redis (version ")
    assert "500 samples learned" in done.stdout
    assert done.stderr == ""
    assert keys(learned) == before
    assert len(learned.log_records()) == ends


def test_one_changed_bit_of_a_tensor_is_found_and_named(learned: Stream) -> None:
    key = f"gradstream:{{{learned.name}}}:tensors"
    with learned.client() as client:
        value = bytearray(client.hget(key, "scaler"))
        value[-1] ^= 1
        client.hset(key, "scaler", bytes(value))
    line = fails(learned)
    assert "differs from the learning log at offset" in line
    assert "tensor scaler, 1 number at 2" in line
    document = json.loads(learned.command("verify", learned.name, "--json", check=False).stdout)
    assert document["equal"] is False
    (difference,) = document["differences"]
    assert difference["what"] == "tensor scaler, 1 number at 2"
    assert difference["log"] != difference["redis"]


def test_counts_offsets_metrics_and_weights_that_were_changed_are_all_named(learned: Stream) -> None:
    key = f"gradstream:{{{learned.name}}}"
    with learned.client() as client:
        client.hset(key, "samples_learned", "499")
        client.hset(key, "offsets", json.dumps({f"{learned.samples}-0": 1}))
        client.hset(key, "metrics", json.dumps({"accuracy": 1.0}))
        client.hset(f"{key}:weights", "a", "0.5")
    document = json.loads(learned.command("verify", learned.name, "--json", check=False).stdout)
    whats = {difference["what"] for difference in document["differences"]}
    assert whats == {"samples_learned", "offsets", "metrics", "weight a"}
    shown = learned.command("verify", learned.name, check=False)
    assert "499" in shown.stdout
    assert "and 1 more" in shown.stderr


def test_the_settings_may_have_changed_or_be_gone(learned: Stream, tmp_path: Path) -> None:
    learned.write_config(learned.table.replace("hash_bits = 14", "hash_bits = 12"))
    assert learned.command("verify", learned.name).returncode == 0
    other = tmp_path / "other.toml"
    other.write_text(learned.config.read_text().replace(f'"{learned.name}"', '"other"'))
    assert learned.command("--config", str(other), "verify", learned.name).returncode == 0


def test_a_checkpoint_that_moves_while_it_is_verified_is_equal(stream: Stream) -> None:
    worker = stream.worker()
    for _ in range(3):
        stream.produce(samples(2000))
        stream.wait_learned(1)
        assert json.loads(stream.command("verify", stream.name, "--json").stdout)["equal"] is True
    assert terminate(worker) == 0


def test_a_log_whose_beginning_is_gone_is_one_line(learned: Stream) -> None:
    delete_log_before(learned, 2)
    line = fails(learned)
    assert f"cannot be verified from the start: the log {learned.name}.learning-log begins at 2" in line
    assert "snapshot" in line


def test_a_model_without_a_checkpoint_or_that_nobody_knows_is_one_line(stream: Stream) -> None:
    assert "no checkpoint in Redis" in fails(stream)
    done = stream.command("verify", "none", check=False)
    assert done.returncode == 1
    assert "no model 'none' in " in done.stderr


def test_a_checkpoint_of_another_log_is_one_line(learned: Stream) -> None:
    with learned.client() as client:
        client.hset(f"gradstream:{{{learned.name}}}", "log_topic_id", "another")
    assert "belongs to another learning log" in fails(learned)


# what `check` says of the log's retention


def check(stream: Stream) -> tuple[list[str], list[str]]:
    """Errors and warnings that are about the log or the checkpoint."""
    document = json.loads(stream.command("check", "--json", check=False).stdout)
    told: dict[str, list[str]] = {"error": [], "warning": [], "ok": []}
    for finding in document["findings"]:
        if finding["model"] == stream.name and ("log" in finding["message"]):
            told[finding["level"]].append(finding["message"])
    return told["error"], told["warning"]


def alter(stream: Stream, **config: str) -> None:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    with KafkaAdmin(KafkaSettings(bootstrap_servers=stream.kafka)) as admin:
        admin.alter(f"{stream.name}.learning-log", settings)


def test_check_is_content_with_a_log_that_lost_what_the_checkpoint_has(learned: Stream) -> None:
    assert check(learned) == ([], [])
    delete_log_before(learned, 2)
    assert check(learned) == ([], [])
    assert "begins at 2; the checkpoint has what was before" in learned.command("check").stdout


def test_check_tells_that_the_log_no_longer_has_what_a_start_needs(learned: Stream) -> None:
    delete_log_before(learned, 3)
    key = f"gradstream:{{{learned.name}}}"
    with learned.client() as client:
        client.hset(key, "log_offset", "2")
        ((behind,), _) = check(learned)
        client.delete(*client.keys(f"{key}*"))
    assert "begins at 3, after the checkpoint's offset 2" in behind
    ((gone,), _) = check(learned)
    assert "begins at 3, and Redis has no checkpoint" in gone
    for line in (behind, gone):
        assert f"gradstream reset {learned.name}" in line


def test_check_warns_of_a_checkpoint_that_may_fall_out_of_the_log(learned: Stream) -> None:
    key, end = f"gradstream:{{{learned.name}}}", len(learned.log_records())
    old = "2020-01-01T00:00:00.000+00:00"
    with learned.client() as client:
        client.hset(key, "saved_at", old)
    assert check(learned) == ([], []), "it is at the log's end: there is nothing that it does not have"
    with learned.client() as client:
        client.hset(key, mapping={"saved_at": old, "log_offset": str(end - 1)})
    (_, (warning,)) = check(learned)
    assert "1 records behind its log, which keeps records for 30 d" in warning


def test_check_warns_of_settings_that_delete_too_early(learned: Stream) -> None:
    learned.write_config(TABLE.format(name=learned.name, retention="10m"))
    assert check(learned) == ([], [])
    alter(learned, retention_ms="600000", retention_bytes="1000000", cleanup_policy="compact,delete")
    errors, warnings = check(learned)
    assert errors == []
    assert len(warnings) == 3
    assert any("keeps records for 10 min only" in line for line in warnings)
    assert any("retention.bytes is 1000000, expected -1" in line for line in warnings)
    assert any("cleanup.policy is compact,delete, expected delete" in line for line in warnings)
