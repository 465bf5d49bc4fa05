"""Peer `naive`: a Faust agent with a River pipeline inside, written as the documentation of both shows it.

python -m benchmarks.naive BOOTSTRAP SAMPLES-TOPIC PREDICTIONS-TOPIC COUNT
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from typing import Any

import faust
from river import compose, linear_model, optim, preprocessing

from benchmarks.report import Report, now
from benchmarks.samples import LEARNING_RATE


def with_bias(x: dict[str, float]) -> dict[str, float]:
    """Add a constant feature: the intercept is then under AdaGrad too, as with the other peers."""
    return {**x, "intercept": 1.0}


def pipeline() -> compose.Pipeline:
    """Standardisation, then logistic regression by AdaGrad; River's own intercept, plain SGD, is off."""
    return compose.Pipeline(
        preprocessing.StandardScaler(),
        compose.FuncTransformer(with_bias),
        linear_model.LogisticRegression(optim.AdaGrad(LEARNING_RATE), intercept_lr=0.0),
    )


def make_app(
    bootstrap: str, samples: str, predictions: str, count: int
) -> tuple[Any, asyncio.Future[Report]]:
    """The app, and the report that it gives when `count` predictions are acknowledged."""
    app = faust.App(
        predictions,  # its name is its consumer group: a new one for each run
        broker=f"kafka://{bootstrap}",
        value_serializer="json",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=tempfile.mkdtemp(prefix="gradstream-naive-"),  # or Faust makes one here
    )
    source = app.topic(samples)
    sink = app.topic(predictions)
    model = pipeline()
    finished: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def predict(stream: Any) -> None:
        first, seen = 0.0, 0
        async for event in stream.events():
            if seen == count:
                continue  # the topic may hold more; the app is being stopped
            if not seen:
                first = now()
            sample = event.value
            probability = model.predict_proba_one(sample["features"]).get(True, 0.5)
            model.learn_one(sample["features"], bool(sample["label"]))
            at = event.message.offset
            sent = await sink.send(
                value={
                    "id": f"{samples}-{event.message.partition}-{at}",
                    "model": "bench",
                    "prediction": int(probability >= 0.5),
                    "probability": probability,
                    "samples_learned": seen,
                    "topic": samples,
                    "partition": event.message.partition,
                    "offset": at,
                }
            )
            seen += 1
            if seen == count:
                await sent  # one partition: the last is acknowledged after all others
                finished.set_result(Report(first, now(), seen))

    return app, finished


async def main(bootstrap: str, samples: str, predictions: str, count: int) -> None:
    """Run the app until it has served `count` samples; raises what the app raised."""
    app, finished = make_app(bootstrap, samples, predictions, count)
    await app.start()
    try:
        crash = asyncio.ensure_future(app.wait_until_stopped())
        await asyncio.wait({finished, crash}, return_when=asyncio.FIRST_COMPLETED)
        if not finished.done():
            raise RuntimeError(f"the Faust app stopped before {count} predictions were acknowledged")
        finished.result().write()
    finally:
        await app.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
