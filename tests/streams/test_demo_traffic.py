"""What the demo sends: a sample when a flight leaves, its label when it lands, in the order of event time."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from streams.demo import config, flights
from streams.demo.flights import SCHEDULED_FLIGHTS
from streams.demo.traffic import FEBRUARY, NEVER, Traffic, event_order, load

NEW_YORK = ZoneInfo("America/New_York")
FOREVER = 1_175
"""Flights that left and have no time in the air."""


@pytest.fixture(scope="module")
def year() -> Traffic:
    return load()


@pytest.fixture(scope="module")
def raw() -> dict[str, dict[str, str]]:
    """The flights that left, by id, read in another way than the demo does."""
    with zipfile.ZipFile(flights._data_file()) as archive, archive.open("flights.csv") as file:
        rows = [r for r in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if known(r["dep_delay"])]
    return {
        f"{r['carrier']}-{r['flight']}-{r['origin']}-2013-{int(r['month']):02d}-{int(r['day']):02d}": r
        for r in rows
    }


def known(text: str) -> bool:
    return text not in ("", "NA")


def instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def test_each_flight_that_left_has_one_sample_and_each_that_landed_one_label(
    year: Traffic, raw: dict[str, dict[str, str]]
) -> None:
    topics = Counter(topic for topic, _, _ in year.records())
    assert topics == {config.SAMPLES: len(raw), config.LABELS: year.labelled}
    assert len(year) == len(raw) == 328_521
    assert year.scheduled == SCHEDULED_FLIGHTS
    assert set(year.ids) == set(raw)
    landed = {id_ for id_, outcome in zip(year.ids, year.outcomes, strict=True) if outcome is not None}
    assert landed == {id_ for id_, r in raw.items() if known(r["air_time"]) and known(r["arr_delay"])}
    assert len(raw) - len(landed) == FOREVER
    assert year.scheduled - len(landed) == 9_430


def test_a_flight_leaves_at_the_time_that_clocks_in_new_york_showed(
    year: Traffic, raw: dict[str, dict[str, str]]
) -> None:
    """dep_time is that time; the demo has it from the schedule and the delay, summer and winter."""
    for id_, departed in zip(year.ids, year.departed.tolist(), strict=True):
        local = instant(departed).astimezone(NEW_YORK)
        assert local.hour * 100 + local.minute == int(raw[id_]["dep_time"]) % 2400, id_


def test_it_lands_after_its_time_in_the_air_and_25_minutes_of_taxiing(
    year: Traffic, raw: dict[str, dict[str, str]]
) -> None:
    for id_, left, landed in zip(year.ids, year.departed.tolist(), year.landed.tolist(), strict=True):
        if landed == NEVER:
            assert not known(raw[id_]["air_time"])
        else:
            assert landed - left == (int(raw[id_]["air_time"]) + 25) * 60_000


def test_messages_say_the_times_and_labels_that_the_order_is_made_of(
    year: Traffic, raw: dict[str, dict[str, str]]
) -> None:
    for i in range(0, len(year), 97):
        sample = json.loads(year.samples[i])
        assert sample["id"] == year.ids[i]
        assert datetime.fromisoformat(sample["timestamp"]) == instant(int(year.departed[i]))
        assert "label" not in sample
        if (outcome := year.outcomes[i]) is None:
            assert np.isnan(year.labels[i])
            continue
        label = json.loads(outcome)
        late = int(float(raw[year.ids[i]]["arr_delay"]) > 15)
        assert label == {"id": year.ids[i], "label": late, "timestamp": label["timestamp"]}
        assert datetime.fromisoformat(label["timestamp"]) == instant(int(year.landed[i]))
        assert year.labels[i] == late


def test_both_topics_together_are_in_the_order_of_event_time(year: Traffic) -> None:
    decode = msgspec.json.Decoder(msgspec.defstruct("Timed", [("timestamp", str)])).decode
    times = [decode(value).timestamp for _, _, value in year.records()]  # type: ignore[attr-defined]
    assert times == sorted(times)
    assert times[0] == "2013-01-01T10:17:00Z"  # 05:17 in New York


def test_a_sample_and_its_label_have_the_id_as_their_key_and_come_in_this_order(year: Traffic) -> None:
    seen: dict[bytes, str] = {}
    for topic, key, value in year.records():
        assert value.startswith(b'{"id":"%s",' % key)
        assert seen.get(key) == (None if topic == config.SAMPLES else config.SAMPLES)
        seen[key] = topic


def test_a_sample_holds_what_is_known_at_departure_and_nothing_else(year: Traffic) -> None:
    assert json.loads(year.samples[0]) == {
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
        "timestamp": "2013-01-01T10:17:00Z",
    }
    assert json.loads(year.outcomes[0] or b"") == {
        "id": "UA-1545-EWR-2013-01-01",
        "label": 0,
        "timestamp": "2013-01-01T14:29:00Z",  # 227 minutes in the air
    }


def test_every_label_is_in_time_for_the_demos_horizon(year: Traffic) -> None:
    lands = year.landed != NEVER
    delays = year.landed[lands] - year.departed[lands]
    assert delays.min() > 0
    assert delays.max() <= config.HORIZON_HOURS * 3_600_000


def test_january_ends_at_midnight_in_new_york(year: Traffic) -> None:
    assert instant(FEBRUARY) == datetime(2013, 2, 1, tzinfo=NEW_YORK)
    assert year.after_january.tolist() == sorted(year.after_january.tolist())
    first = int(np.argmax(year.after_january))
    assert instant(int(year.departed[first - 1])) < instant(FEBRUARY) <= instant(int(year.departed[first]))


def test_the_labels_known_at_a_time_are_those_of_what_has_landed(year: Traffic) -> None:
    noon = int(datetime(2013, 7, 1, 16, tzinfo=UTC).timestamp() * 1000)
    now = year.known_at(noon)
    assert np.isfinite(now).sum() == sum(time <= noon for time in year.landed.tolist())
    assert (now[np.isfinite(now)] == year.labels[np.isfinite(now)]).all()
    last = int(year.landed[year.last_landing])
    assert last == max(time for time in year.landed.tolist() if time != NEVER)
    assert np.isfinite(year.known_at(last)).sum() == year.labelled


def test_what_leaves_at_a_minute_comes_before_what_lands_then() -> None:
    departed, landed = np.array([0, 1, 5, 5]), np.array([5, NEVER, 7, 6])
    assert event_order(departed, landed).tolist() == [0, 1, 2, 3, ~0, ~3, ~2]


def test_fewer_flights_are_the_first_of_the_schedule(year: Traffic) -> None:
    few = load(2_000)
    assert few.scheduled == 2_000
    assert set(few.ids) == set(flights.load(2_000).ids)
    ends = datetime(2013, 1, 3, 12, tzinfo=UTC) + timedelta(days=1)
    assert max(few.departed.tolist()) < ends.timestamp() * 1000
    assert set(few.samples) < set(year.samples)
    assert not few.after_january.any()
