"""The recording of the year: every flight that left, once, in order, and only what was known at departure."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from pathlib import Path

import pytest

from streams.demo import flights as module
from streams.demo.errors import DemoError
from streams.demo.flights import SCHEDULED_FLIGHTS, Flights, load


@pytest.fixture(scope="module")
def year() -> Flights:
    return load()


@pytest.fixture(scope="module")
def raw() -> list[dict[str, str]]:
    """The rows of the data file, read in another way than the demo does."""
    with zipfile.ZipFile(module._data_file()) as archive, archive.open("flights.csv") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def departed(row: dict[str, str]) -> bool:
    return row["dep_delay"] not in ("", "NA")


def test_every_flight_that_left_is_recorded_once_and_no_other(
    year: Flights, raw: list[dict[str, str]]
) -> None:
    expected = {
        f"{r['carrier']}-{r['flight']}-{r['origin']}-2013-{int(r['month']):02d}-{int(r['day']):02d}"
        for r in raw
        if departed(r)
    }
    assert set(year.ids) == expected
    assert len(year) == len(year.ids) == len(expected) == 328_521
    assert year.scheduled == len(raw) == SCHEDULED_FLIGHTS


def test_a_flight_without_arrival_has_no_label(year: Flights, raw: list[dict[str, str]]) -> None:
    unknown = sum(departed(r) and r["arr_delay"] in ("", "NA") for r in raw)
    late = sum(departed(r) and r["arr_delay"] not in ("", "NA") and float(r["arr_delay"]) > 15 for r in raw)
    assert sum("label" not in json.loads(value) for value in year.values) == unknown == 1_175
    assert sum(label == 1 for label in year.labels) == late
    assert year.labelled == len(year) - unknown


def test_flights_come_in_the_order_of_scheduled_departure(year: Flights) -> None:
    times = [json.loads(value)["timestamp"] for value in year.values]
    assert times == sorted(times)
    assert times[0] == "2013-01-01T10:15:00Z"  # 05:15 in New York
    months = [json.loads(value)["features"]["month"] for value in year.values]
    assert [month > 1 for month in months] == year.after_january.tolist()
    assert year.after_january.tolist() == sorted(year.after_january.tolist())


def test_a_sample_holds_what_is_known_at_departure_and_nothing_else(year: Flights) -> None:
    assert json.loads(year.values[0]) == {
        "id": "UA-1545-EWR-2013-01-01",
        "features": {
            "carrier": "UA",
            "origin": "EWR",
            "dest": "IAH",
            "month": 1,
            "hour": 5,
            "weekday": "Tue",
            "distance": 1400,
            "dep_delay": 2,
        },
        "timestamp": "2013-01-01T10:15:00Z",
        "label": 0,
    }
    assert year.keys[0] == b"UA1545"


def test_fewer_flights_are_the_first_of_the_schedule(year: Flights) -> None:
    few = load(2_000)
    assert few.scheduled == 2_000
    assert len(few) < 2_000
    assert few.values == year.values[: len(few)]
    assert not few.after_january.any()
    assert sum(map(math.isnan, few.labels)) == len(few) - few.labelled > 0


def test_a_damaged_data_file_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "flights.csv.zip"
    broken.write_bytes(b"no archive")
    monkeypatch.setattr(module, "_data_file", lambda: broken)
    with pytest.raises(DemoError, match=r"flights\.csv\.zip: expected the flights of 2013.*install it again"):
        load()
