"""What is simulated, what workers of the simulation hold and send, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.scaling.model import Costs


@dataclass(eq=False, slots=True)
class Batch:
    """Learned in the view, and not read back. rows: its samples; acknowledged: when its predictions are."""

    rows: range
    acknowledged: float
    record: Record | None = None


@dataclass(eq=False, slots=True)
class Record:
    """Of the log. visible: when every worker can read it; sent: when it left."""

    worker: int
    samples: int
    bytes: float
    sent: float = 0.0
    visible: float = 0.0


@dataclass(slots=True)
class Figures:
    """Since `forget_figures`. unseen: summed over samples; sent: samples in `records`."""

    processed: int = 0
    redone_before: int = 0
    unseen: float = 0.0
    busy: float = 0.0
    batches: int = 0
    sent: int = 0
    records: int = 0
    trips: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Setup:
    """rate: samples a second of all, that come for `seconds`; nothing is simulated after `until` seconds.

    bandwidth: bytes a second that the log's partition takes; network: that its leader sends; cores: that all
    workers share with the servers, None: each has its own; servers: CPU µs of those for each sample. What
    happens before `warm` seconds is not in the figures, unless all samples were folded by then.
    """

    costs: Costs
    workers: int
    rate: float
    seconds: float = 3.0
    until: float = 3.0
    warm: float = 1.0
    bandwidth: float = 500e6
    network: float = 1250e6
    replicas: int = 3
    round_trip: float = 0.002
    save_every: float = 1.0
    cores: int | None = None
    servers: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Simulated:
    """What came of it; shares and times are of what was after `warm`."""

    throughput: float
    """Samples a second that the slowest worker folded."""
    redone: float
    """Samples learned again for each one processed."""
    busy: float
    """Of a worker's time, mean."""
    cpu: float
    """µs of a worker for each sample that it processed itself."""
    unseen: float
    """Samples processed elsewhere that a prediction has not seen, mean over samples."""
    log_seconds: float
    """From the sending of a log record until its worker has folded it, median."""
    batch: float
    """Samples that were processed together, mean."""
    record: float
    """Samples of a log record, mean; a record may hold several batches."""
    log_busy: float
    """Of the time, that the partition or its leader's network (whichever is more) is at work."""
    processed: int
    logged: int
    folded: tuple[int, ...]
    """Samples, of all the time; folded: by each worker."""
