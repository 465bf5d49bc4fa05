"""The same network in PyTorch on the CPU, where the extra `peers` is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from benchmarks.kernels.contest import Lap, Stopwatch
from models.rows import Float64


def installed() -> bool:
    """Whether PyTorch is there."""
    return importlib.util.find_spec("torch") is not None


class TorchNetwork:
    """Layers with relu between them, the log loss, plain SGD, float32, one thread.

    The forward pass of a step is its prediction too: PyTorch is spared a second one.
    """

    name = "PyTorch"

    def __init__(self, x: Float64, labels: Float64, hidden: Sequence[int], rate: float, batch: int) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self._labels, self._rate, self._sizes = labels, rate, [x.shape[1], *hidden, 1]
        self._x = torch.tensor(x, dtype=torch.float32).split(batch)
        self._y = torch.tensor(labels[:, None], dtype=torch.float32).split(batch)

    def lap(self) -> Lap:
        """One pass by a new network."""
        from torch import nn, optim

        layers = [layer for sizes in pairwise(self._sizes) for layer in (nn.Linear(*sizes), nn.ReLU())]
        model, loss_of = nn.Sequential(*layers[:-1]), nn.BCEWithLogitsLoss()
        optimizer = optim.SGD(model.parameters(), lr=self._rate)
        served = []
        watch = Stopwatch()
        for x, y in zip(self._x, self._y, strict=True):
            scores = model(x)
            loss = loss_of(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            served.append(scores.detach())
        times = watch.stop()
        raw = np.concatenate([one.numpy() for one in served]).astype(np.float64)
        return Lap.of(times, 1.0 / (1.0 + np.exp(-raw)), self._labels)
