"""Every command once, as a user types it, on real servers."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from infra.kafka_admin import KafkaAdmin
from infra.settings import KafkaSettings
from tests.integration.harness import COMMAND, Stream, opened
from tests.servers import Servers

TABLE = """
task = "binary"
update = "sample"
[models."{name}".features]
numeric = ["distance", "hour"]
categorical = ["carrier"]
hash_bits = 10
"""
SAMPLES = 400


@pytest.fixture
def stream(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Stream]:
    table = TABLE.format(name=unique_name)
    with opened(Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, partitions=2)) as made:
        yield made


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """Flights whose delay follows from their distance, as CSV."""
    rng = random.Random(7)
    path = tmp_path / "flights.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["flight", "carrier", "distance", "hour", "late"])
        for i in range(SAMPLES):
            distance = rng.randint(100, 3000)
            writer.writerow(
                [f"F{i}", rng.choice(["UA", "AA"]), distance, rng.randint(0, 23), int(distance > 1500)]
            )
    return path


@pytest.fixture
def learned(stream: Stream, flights: Path) -> Stream:
    """A stream whose flights have been produced, and learned by a worker that is gone."""
    stream.command("produce", stream.samples, str(flights), "--id", "flight", "--label", "late")
    stream.drain()
    return stream


def admin_of(stream: Stream) -> KafkaAdmin:
    return KafkaAdmin(KafkaSettings(bootstrap_servers=stream.kafka))


def lines(stream: Stream, *arguments: str) -> list[Any]:
    return [json.loads(line) for line in stream.command(*arguments).stdout.splitlines()]


# topics


def test_topics_create_makes_what_is_missing_once(servers: Servers, tmp_path: Path, unique_name: str) -> None:
    stream = Stream(servers.kafka, servers.redis, unique_name, tmp_path, TABLE.format(name=unique_name))
    stream.write_config()
    names = [
        stream.samples,
        *(f"{unique_name}.{end}" for end in ("predictions", "dead-letters", "learning-log")),
    ]
    planned = stream.command("topics", "create", "--partitions", "3", "--dry-run").stdout
    assert planned.count("would be created") == 4
    with admin_of(stream) as admin:
        assert admin.describe(names) == {}
        created = stream.command("topics", "create", "--partitions", "3").stdout
        assert created.count("created") == 4
        made = admin.describe(names)
        assert [made[name].partitions for name in names] == [3, 3, 3, 1]
        again = stream.command("topics", "create").stdout
        assert again.endswith("Nothing to do.\n")
        assert admin.describe(names) == made
        letters, log = admin.topic_config(names[2]), admin.topic_config(names[3])
        samples = admin.topic_config(names[0])
    assert int(letters["max.message.bytes"]) == int(samples["max.message.bytes"]) + 64 * 1024
    assert log["retention.ms"] == str(30 * 86_400_000)
    assert log["max.message.bytes"] == str(8 * 1024 * 1024)
    assert (log["cleanup.policy"], log["unclean.leader.election.enable"]) == ("delete", "false")


def test_topics_create_follows_a_samples_topic_that_grew(stream: Stream) -> None:
    with admin_of(stream) as admin:
        admin.extend(stream.samples, 5)
        larger = int(admin.topic_config(stream.samples)["max.message.bytes"]) + 1_000_000
        admin.alter(stream.samples, {"max.message.bytes": str(larger)})
        checked = stream.command("check", check=False)
        assert checked.returncode == 1
        assert f"✘ topic {stream.name}.predictions: 2 partitions, the samples topic has 5" in checked.stdout
        assert "max.message.bytes is" in checked.stdout
        assert stream.command("topics", "create").stdout.count("extended from 2 partitions") == 2
        made = admin.describe([f"{stream.name}.predictions", f"{stream.name}.dead-letters"])
        assert {topic.partitions for topic in made.values()} == {5}
        letters = admin.topic_config(f"{stream.name}.dead-letters")
        assert int(letters["max.message.bytes"]) == larger + 64 * 1024
    assert stream.command("check").returncode == 0


# produce and tail


def test_a_csv_file_is_produced_as_samples(stream: Stream, flights: Path) -> None:
    done = stream.command(
        "produce", stream.samples, str(flights), "--id", "flight", "--label", "late", "--key", "carrier"
    )
    assert done.stdout.startswith(f"{SAMPLES} records to {stream.samples}, ")
    assert done.stderr == ""
    records = stream.read(stream.samples)
    assert len(records) == SAMPLES
    with flights.open() as file:
        rows = {row["flight"]: row for row in csv.DictReader(file)}
    for record in records:
        message = json.loads(record.value)
        row = rows[message["id"]]
        assert record.key == row["carrier"].encode()
        assert message["label"] == int(row["late"])
        assert message["features"] == {"distance": int(row["distance"]), "hour": int(row["hour"])}


def test_json_lines_from_standard_input_are_sent_as_they_are(stream: Stream) -> None:
    values = [b'{"features": {"distance": 1.50}, "label": 1}', b'{"features": {}}']
    done = subprocess.run(
        [*COMMAND, "--config", str(stream.config), "produce", stream.samples, "-"],
        input=b"\n".join(values), capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b"2 records to ")
    assert sorted(record.value for record in stream.read(stream.samples)) == sorted(values)


def test_a_bad_line_stops_produce_after_what_came_before_it(stream: Stream, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"distance": 1}\n{"distance": 2}\nfar\n{"distance": 3}\n')
    done = stream.command("produce", stream.samples, str(file), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"gradstream: {file}, line 3: expected a JSON object")
    assert done.stderr.count("\n") == 1
    assert done.stdout.startswith("2 records to ")
    assert len(stream.read(stream.samples)) == 2


def test_a_record_too_large_for_the_topic_is_told_with_its_line(stream: Stream, tmp_path: Path) -> None:
    with admin_of(stream) as admin:
        admin.alter(stream.samples, {"max.message.bytes": "10000"})
    file = tmp_path / "samples.jsonl"
    file.write_text('{"distance": 1}\n' + json.dumps({"carrier": "x" * 50_000}) + "\n")
    done = stream.command("produce", stream.samples, str(file), check=False)
    assert done.returncode == 1
    assert f"{file}, line 2: " in done.stderr
    assert "larger than the topic's max.message.bytes" in done.stderr


def test_a_label_column_that_nobody_named_is_noted(stream: Stream, tmp_path: Path) -> None:
    file = tmp_path / "samples.csv"
    file.write_text("distance,label\n1,1\n")
    done = stream.command("produce", stream.samples, str(file))
    assert "note: column 'label' was sent as a feature" in done.stderr


def test_tail_shows_predictions_as_json_and_for_people(learned: Stream) -> None:
    topic = f"{learned.name}.predictions"
    found = lines(learned, "tail", topic, "--from-beginning", "--max-messages", str(SAMPLES), "--json")
    assert len(found) == SAMPLES
    for record in found:
        assert set(record) == {"topic", "partition", "offset", "timestamp", "key", "value", "headers"}
        assert record["topic"] == topic
        assert record["value"]["partition"] == record["partition"]
    assert len({record["value"]["id"] for record in found}) == SAMPLES
    shown = learned.command("tail", topic, "--from-beginning", "--max-messages", "3").stdout
    assert shown.count("→") == 3


def test_tail_shows_why_a_dead_letter_died(stream: Stream) -> None:
    stream.produce([b'{"features": {"distance": "far"}, "label": 1}'])
    stream.drain()
    topic = f"{stream.name}.dead-letters"
    (letter,) = lines(stream, "tail", topic, "--from-beginning", "--max-messages", "1", "--json")
    assert letter["headers"]["__connect.errors.topic"] == stream.samples
    assert letter["headers"]["__connect.errors.offset"] == "0"
    assert letter["value"]["features"] == {"distance": "far"}
    shown = stream.command("tail", topic, "--from-beginning", "--max-messages", "1").stdout
    assert 'features.distance: expected a finite number, got "far"' in shown
    assert f"{stream.samples}-0 @0" in shown


def test_tail_begins_with_the_next_record_and_ends_cleanly_with_ctrl_c(stream: Stream) -> None:
    stream.produce([b'{"features": {"distance": 1}}'])
    tail = subprocess.Popen(
        [*COMMAND, "--config", str(stream.config), "tail", stream.samples, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert tail.stdout is not None
        with KafkaConsumer(bootstrap_servers=stream.kafka):  # something real to do while it connects
            pass
        seen: dict[str, Any] = {}
        os.set_blocking(tail.stdout.fileno(), False)

        def first_line() -> bool:
            stream.produce([b'{"features": {"distance": 2}}'])
            line = tail.stdout.readline() if tail.stdout is not None else b""
            seen.update(json.loads(line) if line else {})
            return bool(line)

        while not first_line():
            assert tail.poll() is None
        assert seen["value"] == {"features": {"distance": 2}}
        tail.send_signal(signal.SIGINT)
        tail.communicate(timeout=20)
        assert tail.returncode == 0
    finally:
        tail.kill()
        tail.communicate()


def test_output_into_a_closed_pipe_is_no_error(learned: Stream) -> None:
    tail = [*COMMAND, "--config", str(learned.config), "tail", learned.samples, "--from-beginning"]
    for arguments in (tail, [*tail, "--json"]):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=30) == 0


# models, inspect, check


def test_inspect_agrees_with_redis_and_kafka(learned: Stream) -> None:
    document = learned.inspect()
    text = learned.checkpoint()
    assert (document["model"], document["task"]) == (learned.name, "binary")
    assert document["samples_learned"] == SAMPLES
    assert document["version"] == int(text["version"])
    assert document["log_offset"] == int(text["log_offset"])
    assert document["offsets"] == json.loads(text["offsets"])
    assert sum(document["offsets"].values()) == SAMPLES
    assert (document["lag"], document["dead_letters"], document["refused"]) == (0, 0, 0)
    assert document["metrics"] == json.loads(text["metrics"])
    assert set(document["metrics"]) == {"log_loss", "accuracy", "roc_auc", "recent"}
    assert document["weights"].keys() == {"intercept", "distance", "hour", "carrier=UA", "carrier=AA"}
    magnitudes = [abs(weight) for weight in document["weights"].values()]
    assert magnitudes == sorted(magnitudes, reverse=True)
    assert document["scaling"].keys() == {"distance", "hour"}
    assert document["fields"]["labelled_share"] == 1.0


def test_lag_counts_what_has_not_been_learned(learned: Stream) -> None:
    learned.produce([b'{"features": {}}'] * 5)
    assert learned.inspect()["lag"] == 5


def test_inspect_for_people_shows_metrics_offsets_weights_and_lag(learned: Stream) -> None:
    shown = learned.command("inspect", learned.name).stdout
    for text in ("log_loss", f"{learned.samples}-1", "carrier=UA", "with a label 100.0%", "lag"):
        assert text in shown


def test_inspect_works_for_a_model_that_the_settings_do_not_have(learned: Stream, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(learned.config.read_text().replace(f'"{learned.name}"', '"other"'))
    document = json.loads(learned.command("--config", str(other), "inspect", learned.name, "--json").stdout)
    assert document["samples_learned"] == SAMPLES
    assert document["lag"] is None
    assert document["fields"] is None


def test_models_lists_live_models_and_those_that_have_not_begun(learned: Stream) -> None:
    config = learned.config.read_text()
    learned.config.write_text(
        f'{config}\n[models.fresh-{learned.name}]\nsamples = "{learned.samples}"\ntask = "binary"\n'
    )
    rows = {row["model"]: row for row in json.loads(learned.command("models", "--json").stdout)}
    assert rows[learned.name]["samples_learned"] == SAMPLES
    assert rows[learned.name]["lag"] == 0
    fresh = rows[f"fresh-{learned.name}"]
    assert (fresh["version"], fresh["samples_learned"], fresh["lag"]) == (None, 0, SAMPLES)
    shown = learned.command("models").stdout
    assert "not begun" in shown


def test_check_finds_nothing_wrong_with_a_stream_that_works(learned: Stream) -> None:
    done = learned.command("check", "--json")
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert {finding["level"] for finding in document["findings"]} <= {"ok", "warning"}
    samples = document["samples"][learned.name]
    assert len(samples) == 5
    assert {"distance", "hour"} < samples[0].keys()
    shown = learned.command("check").stdout
    assert "✔ Kafka" in shown
    assert "✔ Redis" in shown
    assert "100.0% of them with a label" in shown
    assert "carrier=" in shown


def test_check_names_fields_that_nobody_reads_and_features_that_nobody_sends(stream: Stream) -> None:
    stream.produce([b'{"features": {"distnace": 1, "hour": 2}, "lable": 1}'] * 3)
    shown = stream.command("check").stdout
    assert "! lable: in 3 records, and nobody reads it; did you mean label?" in shown
    assert "! features.distnace: in 3 records, and nobody reads it; did you mean distance?" in shown
    assert "! features.carrier: declared, and in no sample" in shown
    assert "! none of 3 samples has a label" in shown


def test_check_tells_that_the_settings_no_longer_fit_the_model(learned: Stream) -> None:
    before = learned.checkpoint()
    learned.write_config(learned.table.replace("hash_bits = 10", "hash_bits = 12"))
    done = learned.command("check", check=False)
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("✘")]
    assert len(wrong) == 1
    assert "features.hash_bits was 10, now 12" in wrong[0]
    assert f"gradstream reset {learned.name}" in wrong[0]
    assert learned.checkpoint() == before


# reset


def test_reset_asks_and_deletes_nothing_unless_told(learned: Stream) -> None:
    before = learned.checkpoint()
    done = subprocess.run(
        [*COMMAND, "--config", str(learned.config), "reset", learned.name],
        input="n\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"topic {learned.name}.learning-log" in done.stdout
    assert "Nothing was deleted" in done.stderr
    assert learned.checkpoint() == before


def test_reset_forgets_the_model_and_a_worker_can_begin_it_anew(learned: Stream) -> None:
    log = f"{learned.name}.learning-log"
    digest = learned.checkpoint()["digest"]
    with admin_of(learned) as admin:
        old, config = admin.describe([log])[log], admin.own_config(log)
        done = learned.command("reset", learned.name, "--yes")
        assert "Left alone" in done.stdout
        new = admin.describe([log])[log]
        assert (new.partitions, admin.own_config(log), admin.end_offsets(log)) == (1, config, {0: 0})
        assert new.topic_id != old.topic_id
        assert admin.group_offsets("gradstream", learned.samples) == {}
    assert learned.checkpoint() == {}
    with learned.client() as client:
        assert client.keys(f"gradstream:{{{learned.name}}}*") == []
        assert not client.sismember("gradstream:models", learned.name)
    assert len(learned.read(f"{learned.name}.predictions")) == SAMPLES
    assert (
        learned.command("reset", learned.name, "--yes").stdout
        == f"There is nothing of model {learned.name}.\n"
    )
    learned.drain()
    assert learned.checkpoint()["digest"] == digest


def test_reset_works_for_a_model_that_the_settings_do_not_have(learned: Stream, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(learned.config.read_text().replace(f'"{learned.name}"', '"other"'))
    learned.command("--config", str(other), "reset", learned.name, "--yes")
    assert learned.checkpoint() == {}
    assert learned.read(f"{learned.name}.learning-log") == []


def test_reset_refuses_while_a_worker_runs(learned: Stream) -> None:
    learned.worker("--model", learned.name)
    with admin_of(learned) as admin:
        learned.wait(lambda: admin.group_members(f"gradstream.{learned.name}") != [])
    done = learned.command("reset", learned.name, "--yes", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"gradstream: model {learned.name}: 1 worker runs (")
    assert "stop the workers first" in done.stderr
    assert int(learned.checkpoint()["samples_learned"]) == SAMPLES
    log = f"{learned.name}.learning-log"
    with admin_of(learned) as admin:
        old = admin.describe([log])[log]
        forced = learned.command("reset", learned.name, "--yes", "--force")
        assert "left, because workers are members" in forced.stdout
        assert admin.describe([log])[log].topic_id != old.topic_id
