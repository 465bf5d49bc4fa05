"""Run in a process of its own, without the compiler: which promises does a broken model break?

With NUMBA_DISABLE_JIT=1 the kernels are plain Python, and parts of them can be replaced by wrong ones. Prints
a JSON object: what is wrong → the promises that a model then breaks, "nothing" being the model as it is; and
under "digests" the self-test's of each kind of model, for the compiled kernels to be compared with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

from models import losses
from models.kernels import arrival, commit, fold, gather, step
from models.learners import factorization, linear, mlp
from models.self_test import self_test_digest
from tests.models.exactness_program import KINDS
from tests.models.promises import CASES, LARGE, PROMISES, PROMISES_OF_MANY_BLOCKS


class Break(NamedTuple):
    """What is replaced in which module: `wrong` makes the wrong function of the right one."""

    case: str
    places: list[tuple[ModuleType, str]]
    wrong: Callable[[Any], Any]


def without_the_feature(real: Any) -> Any:
    def add_gradient(g, outputs, dense, x, xat, slots, values, *rest):
        real(g, outputs, dense, x * 0.0 + 1.0, xat, slots, values * 0.0 + 1.0, *rest)

    return add_gradient


def with_the_feature_itself(_: Any) -> Any:
    def add_feature(w, g, p, x, outputs, factors, sums, derivative, weight):
        for k in range(outputs):
            r = weight * derivative[k] * x
            g[p + k] += r
            for f in range(k * factors, (k + 1) * factors):
                g[p + outputs + f] += r * sums[f]  # for r (sums[f] - v_if x_i)

    return add_feature


def without_the_slope(real: Any) -> Any:
    def activate(activation, units, slopes, start, stop):
        real(activation, units, slopes, start, stop)
        slopes[start:stop] = 1.0

    return activate


def without_the_value(real: Any) -> Any:
    def add_embeddings(g, network, width, dense, slots, values, *rest):
        real(g, network, width, dense, slots, values * 0.0 + 1.0, *rest)

    return add_embeddings


def uphill(real: Any) -> Any:
    return lambda *given: real(*given[:-1], -given[-1])


def halved(real: Any) -> Any:
    return lambda *given: 0.5 * real(*given)


def left_out(_: Any) -> Any:
    return lambda *given: None


def always_false(_: Any) -> Any:
    return lambda *given: False


def without_journal(real: Any) -> Any:
    return lambda *given: real(*given[:-1], False)


def with_a_look_at_the_label(real: Any) -> Any:
    def serve(S, plan, batch, i, *rest):
        real(S, plan, batch, i, *rest)
        out, at = rest[-2:]
        out[at] += 1e-6 * batch.labels[i]

    return serve


def with_a_trace(real: Any) -> Any:
    def serve(S, *rest):
        real(S, *rest)
        S[0] += 1e-9

    return serve


def with_a_memory_of_its_own(real: Any) -> Any:
    calls = []

    def rate_at(*given):
        calls.append(given)
        return real(*given) / (1.0 + 0.01 * len(calls))

    return rate_at


def with_an_eye_on_the_cut(real: Any) -> Any:
    def prepare(S, plan, batch, i, stored, at, *rest):
        reason = real(S, plan, batch, i, stored, at, *rest)
        if i == 0:
            stored.weights[at] *= 2.0
        return reason

    return prepare


def never_first(real: Any) -> Any:
    return lambda S, plan: real(S, plan) and (plan.update == 0 or int(S[0]) % 2 == 1)


BREAKS = {
    "linear gradient without the feature": Break(
        "linear/log/adagrad/batch", [(linear, "add_gradient")], without_the_feature
    ),
    "factors that meet themselves": Break(
        "factorization-machine/squared/sgd/sample", [(factorization, "add_feature")], with_the_feature_itself
    ),
    "back-propagation without the slope": Break(
        "mlp-tanh/cross-entropy/adam/sample", [(mlp, "_activate")], without_the_slope
    ),
    "embeddings without the value": Break(
        "mlp-relu/log/sgd/batch", [(mlp, "add_embeddings")], without_the_value
    ),
    "half a derivative": Break("linear/squared-hinge/sgd/window", [(losses, "derivative")], halved),
    "uphill": Break("linear/squared/rmsprop/sample", [(linear, "add_gradient")], uphill),
    "a look at the label": Break("linear/log/sgd/sample", [(fold, "serve")], with_a_look_at_the_label),
    "a trace of a prediction": Break("linear/log/sgd/sample", [(fold, "serve")], with_a_trace),
    "a memory outside of the state": Break(
        "linear/squared/nesterov/sample", [(step, "current_rate")], with_a_memory_of_its_own
    ),
    "an eye on the cut": Break(
        "linear/log/ftrl-proximal/sample", [(fold, "prepare")], with_an_eye_on_the_cut
    ),
    "nothing to undo by": Break(
        "large linear/log/adagrad/sample", [(commit, "put"), (commit, "put_run")], without_journal
    ),
    "anything goes": Break(
        "factorization-machine/absolute/adagrad/sample",
        [(arrival, "explodes"), (step, "explodes"), (step, "_params_explode")],
        always_false,
    ),
    "missed steps": Break("linear/log/adamw/sample", [(gather, "catch_up")], left_out),
    "batches that start late": Break("linear/log/sgd/batch", [(fold, "_is_due")], never_first),
}


def broken(case: str) -> list[str]:
    """The promises that the model breaks."""
    found = []
    spec, promises = (LARGE[case], PROMISES_OF_MANY_BLOCKS) if case in LARGE else (CASES[case], PROMISES)
    for name, promise in promises.items():
        try:
            promise(spec)
        except AssertionError:
            found.append(name)
    return found


def main() -> None:
    digests = [self_test_digest(specs[0]) for specs in KINDS.values()]
    result: dict[str, Any] = {"digests": digests}
    result["nothing"] = sorted({promise for each in BREAKS.values() for promise in broken(each.case)})
    for name, (case, places, wrong) in BREAKS.items():
        patches = [mock.patch.object(module, at, wrong(getattr(module, at))) for module, at in places]
        for patch in patches:
            patch.start()
        result[name] = broken(case)
        mock.patch.stopall()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
