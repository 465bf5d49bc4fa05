"""Each measuring program owns its section of docs/results.md, and its picture is a picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.document import markdown_table, write_section
from benchmarks.plot import Line, svg, ticks


def test_a_section_is_replaced_where_it_stands_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "results.md"
    write_section("one", "First", "old text", path)
    write_section("two", "Second", "stays", path)
    added = path.read_text() + "\nWritten by hand.\n"
    path.write_text(added)
    write_section("one", "First", "new text", path)
    assert path.read_text() == added.replace("old text", "new text")
    assert path.read_text().index("new text") < path.read_text().index("stays")


def test_a_section_without_its_end_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "results.md"
    path.write_text("<!-- one: begin -->\nby hand\n")
    with pytest.raises(ValueError, match="restore the marker"):
        write_section("one", "First", "new", path)
    assert path.read_text() == "<!-- one: begin -->\nby hand\n"


def test_a_table_has_a_row_for_each_row_of_cells() -> None:
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_a_picture_is_xml_with_each_line_inside_of_its_frame() -> None:
    points = [(float(x), 400.0 + 10 * (x % 7)) for x in range(100)]
    root = ElementTree.fromstring(svg([Line("memory", points)], "seconds", "MB", limit=500.0))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    (line,) = root.findall("{http://www.w3.org/2000/svg}polyline")
    drawn = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len(drawn) == 100
    assert all(0 < x < width and 0 < y < height for x, y in drawn)
    assert drawn == sorted(drawn)
    assert max(y for _, y in drawn) == drawn[0][1]  # the least memory is drawn lowest


@pytest.mark.parametrize("most", [0.7, 3, 99, 550, 123_456])
def test_axes_have_a_handful_of_round_numbers(most: float) -> None:
    assert 3 <= len(ticks(most)) <= 8
    assert ticks(most)[-1] <= most
