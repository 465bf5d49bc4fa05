"""What is tried: for each family and system the settings, the untuned one first; grids of one size.

A setting of ours is one line: what a user would write into the model's table.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.quality.ours import OursSetting
from benchmarks.quality.river_peer import RiverSetting
from benchmarks.quality.vw_peer import VWSetting


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models, and how much of a stream there is time for.

    Settings are compared on the first `choose_on` samples; the untuned and the best one learn `most`.
    `note` stands in docs/results.md.
    """

    name: str
    note: str = ""
    choose_on: int = 10**9
    most: int = 10**9
    without: tuple[str, ...] = ()
    """Streams that it does not learn."""

    def takes(self, source: str) -> bool:
        """Whether it learns this stream."""
        return source not in self.without


FAMILIES = (
    Family("linear"),
    Family(
        "factorization-machine",
        "Settings are compared on the first 10,000 samples, and at most 100,000 are learned: River takes"
        " 0.3 ms for one. VW's are low-rank interactions of all pairs of fields.",
        choose_on=10_000,
        most=100_000,
        without=("digits",),
    ),
    Family(
        "mlp",
        "River has no network; VW's has one hidden layer. Settings are compared on the first 50,000 samples.",
        choose_on=50_000,
    ),
)

REASONS: dict[tuple[str, str], str] = {}
"""(family, stream) → why ours is more than 1 % worse there; stands in docs/results.md."""

OURS: dict[str, list[OursSetting]] = {
    "linear": [
        OursSetting(),
        OursSetting({"optimizer": {"name": "adagrad", "learning_rate": 0.03}}),
        OursSetting({"optimizer": {"name": "adagrad", "learning_rate": 0.1}}),
        OursSetting({"optimizer": {"name": "adagrad", "learning_rate": 0.3}}),
        OursSetting({"optimizer": {"name": "sgd", "learning_rate": 0.003}}),
        OursSetting({"optimizer": {"name": "sgd", "learning_rate": 0.01}}),
        OursSetting({"optimizer": {"name": "sgd", "learning_rate": 0.03}}),
        OursSetting({"optimizer": {"name": "ftrl-proximal", "learning_rate": 0.1}}),
    ],
}

RIVER: dict[str, list[RiverSetting]] = {
    "linear": [
        RiverSetting(),
        RiverSetting("SGD", 0.003, constant=True),
        RiverSetting("SGD", 0.01, constant=True),
        RiverSetting("SGD", 0.03, constant=True),
        RiverSetting("AdaGrad", 0.1, constant=True),
        RiverSetting("AdaGrad", 0.3, constant=True),
        RiverSetting("FTRLProximal", 0.1, constant=True),
        RiverSetting("Adam", 0.01, constant=True),
    ],
    "factorization-machine": [
        RiverSetting(),
        RiverSetting("SGD", 0.01, factors=8),
        RiverSetting("SGD", 0.03, factors=8),
        RiverSetting("AdaGrad", 0.1, latent_rate=0.03, factors=8),
        RiverSetting("AdaGrad", 0.1, latent_rate=0.1, factors=8),
        RiverSetting("AdaGrad", 0.1, latent_rate=0.03, factors=4),
    ],
}

VW: dict[str, list[VWSetting]] = {
    "linear": [
        VWSetting(),
        VWSetting("-l 0.1"),
        VWSetting("-l 2"),
        VWSetting(scaled=True),
        VWSetting("-l 0.1", scaled=True),
        VWSetting("--adaptive --invariant -l 0.1", scaled=True),
        VWSetting("--ftrl --ftrl_alpha 0.1", scaled=True),
        VWSetting("--coin", scaled=True),
    ],
    "factorization-machine": [
        VWSetting("{pairs:8}"),
        VWSetting("{pairs:8}", scaled=True),
        VWSetting("{pairs:8} -l 0.1", scaled=True),
        VWSetting("{pairs:4} -l 0.1", scaled=True),
        VWSetting("{pairs:8} -l 0.02", scaled=True),
        VWSetting("--lrqfa {fields}4 -l 0.1", scaled=True),
    ],
    "mlp": [
        VWSetting("--nn 16"),
        VWSetting("--nn 16", scaled=True),
        VWSetting("--nn 16 --inpass", scaled=True),
        VWSetting("--nn 32 -l 0.1", scaled=True),
        VWSetting("--nn 32 -l 2", scaled=True),
        VWSetting("--nn 32 --inpass -l 0.1", scaled=True),
    ],
}
