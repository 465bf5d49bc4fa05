"""Peer `vw`: confluent-kafka around Vowpal Wabbit.

VW parses text of its own faster than Python can hand it numbers, and JSON of this one shape becomes that
text by one pass of `bytes.translate`: so VW itself reads the numbers and hashes the names. VW's own defaults
stay: adaptive, normalised, invariant steps; learning an example gives its prediction from before it.

`vw` calls the native methods below `Workspace`, which are private; `vw-api` the documented ones, which are
Python around them and take three times as long.

    python -m benchmarks.loops.vw BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT [numbers | strings [api]]
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pylibvw
import vowpalwabbit
from confluent_kafka import Message

from benchmarks.loops.confluent import ConfluentLoop, values_and_offsets
from benchmarks.loops.prediction import Prediction

ARGUMENTS = "--quiet --loss_function logistic --link logistic -b 18"
ONE = ord("1")
TABLES = {
    "numbers": bytes.maketrans(b",", b" "),  # "x0":1.5 → x0:1.5
    "strings": bytes.maketrans(b",:", b" ="),  # "c0":"c0_17" → c0=c0_17
}
NATIVE = (pylibvw.vw._parse, pylibvw.vw.learn, pylibvw.vw._finish_example)
API = (vowpalwabbit.Workspace.parse, vowpalwabbit.Workspace.learn, vowpalwabbit.Workspace.finish_example)
BEFORE, AFTER = len("features:"), len(" label:1")


def text_of(value: bytes, table: bytes) -> str:
    """A sample as VW's text; it must be `{"features":{…},"label":0 or 1}` without spaces."""
    features = value.translate(table, b'"{}')[BEFORE:-AFTER].decode()
    return f"1 | {features}" if value[-2] == ONE else f"-1 | {features}"


class VW:
    """The work: a sample at a time."""

    def __init__(self, topic: str, kind: str = "numbers", calls: str = "native") -> None:
        """`calls`: native or api."""
        self.topic, self.table, self.native = topic, TABLES[kind], calls == "native"
        self.learner = vowpalwabbit.Workspace(ARGUMENTS)
        self.learned = 0
        self.encode = msgspec.json.Encoder().encode

    def warm_up(self) -> None:
        """There is nothing to compile."""

    def process(self, messages: list[Message]) -> list[dict[str, Any]]:
        """See Work."""
        values, offsets = values_and_offsets(messages)
        learner, table, topic, encode = self.learner, self.table, self.topic, self.encode
        parse, learn, finish = NATIVE if self.native else API
        batch: list[dict[str, Any]] = []
        for i, (value, at) in enumerate(zip(values, offsets, strict=True), self.learned):
            parsed = parse(learner, text_of(value, table))
            example = parsed[0] if self.native else parsed
            learn(learner, example)
            p = example.get_simplelabel_prediction()
            finish(learner, example)
            made = Prediction(f"{topic}-0-{at}", "bench", int(p >= 0.5), p, i, topic, 0, at)
            batch.append({"value": encode(made)})
        self.learned += len(batch)
        return batch


if __name__ == "__main__":
    bootstrap, topic, predictions, count, *kind = sys.argv[1:]
    ConfluentLoop(bootstrap, topic, predictions, VW(topic, *kind)).run(int(count)).write()
