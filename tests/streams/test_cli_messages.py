"""`gradstream produce`: lines of a file to sample messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.commands._columns import BadLine, Columns, Format, csv_value
from streams.commands._messages import MessageReader


def read(
    text: str | bytes, form: Format, labels: bool = False, **columns: str
) -> list[tuple[int, bytes | None, Any]]:
    data = text.encode() if isinstance(text, str) else text
    reader = MessageReader(Columns(**columns), "f", labels)
    return [
        (n, key, json.loads(value)) for n, key, value in reader.read(data.splitlines(keepends=True), form)
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", b"null"),
        ("true", b"true"),
        ("False", b"false"),
        ("12", b"12"),
        ("-1.50", b"-1.50"),
        ("1e-7", b"1e-7"),
        ("12345678901234567890123", b"12345678901234567890123"),
        ("007", b'"007"'),
        ("+1", b'"+1"'),
        (".5", b'".5"'),
        ("1_000", b'"1_000"'),
        ("NaN", b'"NaN"'),
        ("١٢", '"١٢"'.encode()),
        ('a"b', b'"a\\"b"'),
        (" 1", b'" 1"'),
    ],
)
def test_a_csv_field_is_a_number_only_as_json_writes_it(text: str, value: bytes) -> None:
    assert bytes(csv_value(text)) == value


def test_csv_columns_become_features_except_those_that_are_named() -> None:
    found = read(
        "uid,when,late,who,km,hot\n7,2013-01-01T05:15:00Z,1,EWR,1.5,\n",
        "csv", id="uid", timestamp="when", label="late", key="who",
    )  # fmt: skip
    message = {
        "id": "7",
        "timestamp": "2013-01-01T05:15:00Z",
        "label": 1,
        "features": {"km": 1.5, "hot": None},
    }
    assert found == [(2, b"EWR", message)]


def test_an_empty_label_id_or_key_is_left_out() -> None:
    assert read("i,l,k,x\n,,,1\n", "csv", id="i", label="l", key="k") == [(2, None, {"features": {"x": 1}})]


def test_an_id_of_a_csv_file_is_its_text() -> None:
    (_, key, message) = read("i,x\n007,1\n", "csv", id="i", key="i")[0]
    assert (key, message["id"]) == (b"007", "007")


def test_csv_takes_quotes_line_breaks_in_fields_a_byte_order_mark_and_empty_lines() -> None:
    found = read('\ufeffa,b\n"x, ""y""\nz",1\n\nw,2\n', "csv")
    assert [(n, m["features"]) for n, _, m in found] == [
        (3, {"a": 'x, "y"\nz', "b": 1}),
        (5, {"a": "w", "b": 2}),
    ]


def test_a_flat_json_object_is_wrapped_with_its_values_as_they_are_written() -> None:
    reader = MessageReader(Columns(label="y"), "f")
    line = b'{"y": true, "x": 1.10, "big": 12345678901234567890123, "s": "\\u00e4", "n": null, "l": [1, 2]}\n'
    assert list(reader.read([line], "jsonl")) == [
        (
            1,
            None,
            b'{"label":true,"features":'
            b'{"x":1.10,"big":12345678901234567890123,"s":"\\u00e4","n":null,"l":[1, 2]}}',
        )
    ]


def test_an_object_with_features_is_sent_byte_for_byte() -> None:
    line = b'{"id": "a", "features": {"x": 1.0},  "other": [1]}'
    assert list(MessageReader(Columns(), "f").read([line + b"\r\n"], "jsonl")) == [(1, b"a", line)]


def test_column_options_complete_an_object_with_features() -> None:
    line = '{"uid": 5, "features": {"x": 1, "y": 0, "k": "a"}}\n'
    assert read(line, "jsonl", id="uid", label="y", key="k") == [
        (1, b"a", {"id": "5", "label": 0, "features": {"x": 1, "k": "a"}})
    ]


@pytest.mark.parametrize(
    ("text", "form", "columns", "key"),
    [
        ('{"id": "a-\u00e4", "features": {}}', "jsonl", {}, "a-ä".encode()),
        ('{"id": "a", "features": {}}', "jsonl", {"label": "y"}, b"a"),
        ('{"uid": 7, "x": 1}', "jsonl", {"id": "uid"}, b"7"),
        ('{"id": "a", "k": 1.50, "features": {}}', "jsonl", {"key": "k"}, b"1.50"),
        ('{"id": "a", "k": null, "features": {}}', "jsonl", {"key": "k"}, None),
        ('{"id": null, "features": {}}', "jsonl", {}, None),
        ('{"id": 7, "features": {}}', "jsonl", {}, None),  # no valid id: the worker says so
        ('{"x": 1}', "jsonl", {}, None),
        ("uid,x\n007,1\n", "csv", {"id": "uid"}, b"007"),
        ("uid,x\n,1\n", "csv", {"id": "uid"}, None),
        ("uid,k\n007,1e3\n", "csv", {"id": "uid", "key": "k"}, b"1e3"),
        ("uid,k\n007,\n", "csv", {"id": "uid", "key": "k"}, None),
    ],
)
def test_the_key_is_the_id_where_no_column_is_named(
    text: str, form: Format, columns: dict[str, str], key: bytes | None
) -> None:
    assert read(text, form, **columns)[0][1] == key


def test_a_column_may_be_the_key_and_something_else() -> None:
    assert read("i,y\n1,2\n", "csv", key="y", label="y") == [(2, b"2", {"label": 2, "features": {"i": 1}})]


def test_labels_have_no_features() -> None:
    own = {"id": "id", "label": "label"}
    message = {"id": "a", "label": 1, "weight": 2, "timestamp": 3, "correction": True}
    line = json.dumps({**message, "features": {"x": 1}, "n": 0})
    assert read(line, "jsonl", labels=True, **own) == [(1, b"a", message)]
    assert read("id,label,weight,n\n007,x,,4\n", "csv", labels=True, **own) == [
        (2, b"007", {"id": "007", "label": "x"})
    ]
    assert read("who,late,when\n007,true,5\n", "csv", True, id="who", label="late", timestamp="when") == [
        (2, b"007", {"id": "007", "label": True, "timestamp": 5})
    ]


def test_empty_lines_are_skipped_and_line_numbers_go_on() -> None:
    assert [n for n, _, _ in read('{"a":1}\n\n  \n{"a":2}', "jsonl")] == [1, 4]


def test_columns_that_look_like_a_sample_s_own_fields_are_noted() -> None:
    reader = MessageReader(Columns(label="y"), "f")
    list(reader.read([b'{"label": 1, "y": 0, "weight": 2, "x": 1}'], "jsonl"))
    assert reader.unnamed == {"label", "weight"}


@pytest.mark.parametrize(
    ("data", "form", "columns", "message"),
    [
        (b'{"a":1}\n{bad\n', "jsonl", {}, "f, line 2: expected a JSON object"),
        (b"[1]\n", "jsonl", {}, "f, line 1: expected a JSON object"),
        (b'{"a": "\xff"}\n', "jsonl", {"id": "a"}, "f, line 1: not UTF-8 text (byte 7)"),
        (b'{"a": NaN}\n', "jsonl", {}, "f, line 1: expected a JSON object"),
        (b'{"features": 1}\n', "jsonl", {"id": "a"}, "f, line 1: features: expected an object"),
        (b'{"a": {"b": 1}}\n', "jsonl", {"key": "a"}, "f, line 1: key: expected a text or a number"),
        (b'{"a": [1]}\n', "jsonl", {"id": "a"}, "f, line 1: id: expected a text or a number"),
        (b"", "csv", {}, "f, line 1: expected a header"),
        (b"a,a\n1,2\n", "csv", {}, "f, line 1: column 'a' twice"),
        (b"a,\n1,2\n", "csv", {}, "f, line 1: a column without a name"),
        (b"a,b\n1,2\n1\n", "csv", {}, "f, line 3: 1 fields, the header has 2"),
        (b'a,b\n1,"2\n', "csv", {}, "f, line 2: not CSV"),
        (b"a,b\n1,\xff\n", "csv", {}, "f, line 2: not UTF-8 text"),
        (b"a,b\n1,2\n", "csv", {"label": "y"}, "f, line 1: no column 'y' in the header; there is a, b"),
        (b"id,y\n1,2\n", "csv", {"id": "id", "label": "label"}, "f, line 1: no column 'label' in the header"),
    ],
)
def test_a_bad_line_is_told_with_its_number(
    data: bytes, form: Format, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(BadLine) as caught:
        read(data, form, **columns)
    assert str(caught.value).startswith(message)
