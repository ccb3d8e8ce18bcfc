"""The chart of the benchmarks' page shows what the page says, and a part measured anew leaves the others alone."""

import pathlib
import xml.etree.ElementTree as ElementTree

from hypothesis import given, strategies as st

from benchmarks import chart, summary

DOCS = pathlib.Path(__file__).parents[2] / "docs"

PAGE = """# Benchmarks

Words.

## One <table>

`python -m benchmarks transfer`

| seed → fetcher | MiB/s | ratio (min–max) | peak |
|---|---|---|---|
| lt → lt | 100 | 1.00 (1.00–1.00) | 5 |
| tl → tl | 150 | 1.50 (0.90–2.25) | 6 |
| bare → bare | 900 | 9.00 (8.00–9.50) | 6 |

## Two tables

fetching 1 MiB, 5 rounds

| who | ratio (min–max) |
|---|---|
| tl | 0.80 (0.70–20.00) |

seeding 2 MiB, 5 rounds

| who | ratio (min–max) | |
|---|---|---|
| torrentlite seeds | 1.20 (1.10–1.30) | |

## Nothing to compare

| what | µs |
|---|---|
| tl | 3 |

## A first cell without words

| | seconds (min–max) | ratio (min–max) |
|---|---|---|
| `tl fetch` | 3.00 (2.00–4.00) | 1.25 (1.00–1.50) |
"""


def test_rows_of_torrentlite_with_a_ratio_are_found_by_their_table():
    assert chart.bars(PAGE) == {
        "One <table>": [("tl → tl", 1.5, 0.9, 2.25)],
        "Two tables: fetching 1 MiB": [("tl", 0.8, 0.7, 20.0)],
        "Two tables: seeding 2 MiB": [("torrentlite seeds", 1.2, 1.1, 1.3)],
        "A first cell without words": [("tl fetch", 1.25, 1.0, 1.5)],
    }


def test_the_picture_is_well_formed_and_stays_inside():
    root = ElementTree.fromstring(chart.svg(PAGE))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    drawn = [each for each in root.iter() if "y" in each.attrib]
    assert all(0 <= float(each.attrib["y"]) <= height for each in drawn)
    assert all(0 <= float(each.attrib["x"]) <= width for each in drawn)
    assert {"0.8", "1.2", "1.5", "One <table>"} <= {each.text for each in root.iter()}
    assert chart.svg("# Nothing\n") == ""


def test_the_chart_in_the_docs_is_of_the_page():
    assert (DOCS / "images/benchmarks.svg").read_text() == chart.svg((DOCS / "benchmarks.md").read_text())


@given(st.lists(st.sampled_from(["One <table>", "Two tables", "Three"]), max_size=5))
def test_parts_take_the_place_of_those_with_the_same_title(titles):
    parts, page = summary.parts(PAGE), PAGE
    for number, title in enumerate(titles):
        parts = summary.parts(page)
        parts[title] = f"measured again, {number}"
        page = summary.joined(summary.head(page), parts)
    assert summary.head(page).strip() == "# Benchmarks\n\nWords."
    after = {title: text.strip() for title, text in summary.parts(page).items()}
    before = {title: text.strip() for title, text in summary.parts(PAGE).items()}
    assert after == {**before, **{title: f"measured again, {number}" for number, title in enumerate(titles)}}
    assert list(after)[:4] == list(before), "each where it was"
