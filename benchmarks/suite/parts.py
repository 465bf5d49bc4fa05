"""All parts of the suite, in the order in which they are run, and what our model is in each."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.samples import LEARNING_RATE, names
from benchmarks.suite import streams
from benchmarks.suite.contestants import Loop, Ours
from benchmarks.suite.folding import Folding
from benchmarks.suite.footprint import Footprint
from benchmarks.suite.measured import Part
from benchmarks.suite.paced import Paced
from benchmarks.suite.race import Race
from benchmarks.suite.saves import Saves
from benchmarks.suite.two_workers import TwoWorkers
from streams.demo.config import HORIZON_HOURS


def _dense(features: int) -> dict[str, Any]:
    optimizer = {"name": "adagrad", "learning_rate": LEARNING_RATE}
    return {"task": "binary", "optimizer": optimizer, "features": {"numeric": list(names(features))}}


DENSE = _dense(10)
SPARSE = {"task": "binary", "features": {"categorical": list(streams.FIELDS), "hash_bits": 18}}
FLIGHTS = {
    "task": "binary",
    "features": {
        "numeric": ["dep_delay", "distance"],
        "categorical": ["carrier", "origin", "dest", "month", "hour", "weekday"],
        "interactions": [["origin", "dest"], ["carrier", "dest"]],
        "hash_bits": 18,
    },
}
HORIZON = {"label_horizon": f"{HORIZON_HOURS}h"}
WITHOUT_LOG = (sys.executable, "-m", "benchmarks.suite.without_log")

NAIVE = Loop("naive", "naive", most=20_000)
EXPERT = Loop("expert", "expert")
PASS_THROUGH = Loop("pass-through", "loops.pass_through")

PARTS: tuple[Part, ...] = (
    Race(
        "dense-10",
        "Ten numbers",
        "JSON of ten named numbers on one partition; logistic regression, AdaGrad, standardised online.",
        streams.DENSE_10,
        1_000_000,
        DENSE,
        (
            Ours(),
            NAIVE,
            Loop("kafka-python-river", "loops.kafka_python_river", most=40_000),
            Loop("river", "loops.river", most=150_000),
            Loop("vw", "loops.vw", most=400_000),
            Loop("vw-api", "loops.vw", ("numbers", "api"), most=200_000),
            EXPERT,
            PASS_THROUGH,
            Loop("getmany", "loops.getmany", writes=False),
        ),
    ),
    Race(
        "dense-10-of-16",
        "Ten numbers on 16 partitions",
        "The same on 16 partitions in turn, all of one worker.",
        streams.DENSE_10_OF_16,
        500_000,
        DENSE,
        (
            Ours(),
            Loop("expert", "expert", ("10", "16")),
            Loop("pass-through", "loops.pass_through", ("16",)),
        ),
    ),
    Race(
        "dense-100",
        "A hundred numbers",
        "JSON of a hundred named numbers on one partition.",
        streams.DENSE_100,
        100_000,
        _dense(100),
        (Ours(), Loop("expert", "expert", ("100",)), PASS_THROUGH),
    ),
    Race(
        "sparse-40",
        "Forty strings",
        "JSON of forty strings, hashed to 2^18; logistic regression with each system's default optimizer.",
        streams.SPARSE_40,
        300_000,
        SPARSE,
        (Ours(), Loop("vw", "loops.vw", ("strings",)), PASS_THROUGH),
    ),
    Race(
        "flights-late",
        "Flights with late labels",
        "The flights of 2013 and, on a topic of their own, the labels of those that landed, by event time "
        "(all of it waits on the topics); inside: flights with their labels in them. No peer joins labels.",
        streams.FLIGHTS_LATE,
        300_000,
        FLIGHTS,
        (Ours(table=HORIZON), Ours("inside", stream=streams.FLIGHTS)),
    ),
    Race(
        "fm",
        "A factorization machine",
        "Flights with their labels in them, eight factors; linear: the demo's model on the same.",
        streams.FLIGHTS,
        150_000,
        FLIGHTS,
        (Ours(table={"learner": {"name": "factorization-machine", "factors": 8}}), Ours("linear")),
    ),
    Race(
        "mlp",
        "A network",
        "dense-10 by a network 10-64-32-1, a sample at a time; linear: dense-10's model on the same.",
        streams.DENSE_10,
        100_000,
        {"task": "binary", "features": DENSE["features"]},
        (
            Ours(table={"learner": {"name": "mlp", "hidden": [64, 32]}, "optimizer": {"name": "sgd"}}),
            Ours("linear", table={"optimizer": DENSE["optimizer"]}),
        ),
    ),
    Paced(
        "paced",
        "Latency at 500 samples a second",
        "dense-10 at a steady rate, from a sample's produce to the arrival of its prediction (of an echo: of "
        "the sample itself); the samples of the first seconds are not counted.",
        rate=500.0,
        seconds=15.0,
        warm=3.0,
        table=DENSE,
        entered=(
            Ours(),
            Loop("echo-aiokafka", "loops.echo_aiokafka"),
            Loop("echo-confluent", "loops.echo_confluent"),
            NAIVE,
        ),
    ),
    Saves(),
    Race(
        "saving",
        "Throughput while saving",
        "dense-10 by the same worker, saving each second and never.",
        streams.DENSE_10,
        2_000_000,
        DENSE,
        (Ours("each-second", {"save_every": "1s"}), Ours("never", {"save_every": "1h"})),
    ),
    Race(
        "log-cost",
        "What the learning log costs",
        "dense-10 by the same worker, the learning log switched off for the measurement: nothing is encoded, "
        "appended or read back, and the worker's own batches are confirmed at once.",
        streams.DENSE_10,
        1_000_000,
        DENSE,
        (Ours(), Ours("without-log", launcher=WITHOUT_LOG)),
        compared=("cpu",),
    ),
    Folding(3_000_000, DENSE),
    Footprint(200_000, DENSE),
    TwoWorkers(1_000_000, DENSE),
)
