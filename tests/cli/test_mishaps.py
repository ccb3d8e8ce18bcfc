"""What somebody new meets first: happens for real, is explained with a cure, and is what ``docs/errors.md`` shows."""

from __future__ import annotations

import pathlib
import re

import pytest

from . import mishaps

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "errors.md"
CURE_IN_THE_FIRST_LINE = ("A variable has a mistake",)


@pytest.mark.parametrize("mishap", mishaps.MISHAPS, ids=[each.title for each in mishaps.MISHAPS])
def test_a_mishap(mishap: mishaps.Mishap) -> None:
    said = mishaps.happen(mishap)
    assert (said.code, said.out) == (mishap.code, "")
    lines = said.err.splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith("tl: "))
    error = lines[first:]
    assert (1 if mishap.title in CURE_IN_THE_FIRST_LINE else 2) <= len(error) <= 3
    assert all(line.startswith("    ") for line in error[1:])
    assert "Traceback" not in said.err
    # The page shows just this.
    shown = PAGE.read_text(encoding="utf-8").partition(f"\n## {mishap.title}\n")[2].partition("\n## ")[0]
    console = re.search(r"```console\n(.*?)```", shown, re.DOTALL)
    assert console, f"{mishap.title} is not in docs/errors.md: run tools/errors_page"
    command, _, text = console[1].partition("\n")
    assert command.endswith(f"tl {mishap.words.replace('{port}', '6969')}"), "run tools/errors_page"
    assert text == said.err, "run tools/errors_page"
    assert f"Exit code {said.code}." in shown


def test_the_page_has_no_others() -> None:
    titles = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == [mishap.title for mishap in mishaps.MISHAPS]
