"""What one line of the fault table says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.consistency.counting import TABLE

if TYPE_CHECKING:
    from tests.consistency.episode import Episode


@dataclass
class Row:
    """See tests.consistency.episode for what is done with it."""

    name: str
    run: Callable[[Episode], None]
    title: str
    workers: int = 3
    partitions: int = 4
    seeds: int = 2
    rate: float = 1500.0
    """Samples a second."""
    proxied: bool = False
    """Whether workers reach the broker through a proxy."""
    cluster: str = "single"
    redis: str = "shared"
    table: str = TABLE
    short: bool = False
    """Whether `make test` runs it, with one seed and few faults."""
    keys: int = 0
    """Keys of the samples; 0: they have none."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What workers find in their environment (tests.consistency.program)."""
    appends_certain: bool = True
    """Whether no append is ever in doubt: then no worker sends anew what it has sent and not read back."""
    forward: bool = True
    """Whether the checkpoint only moves forward: not if Redis itself is hurt, or the model is begun anew."""
