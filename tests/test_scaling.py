"""The page on training at the paper's size shows what its script prints."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "scaling.py"))


@pytest.mark.parametrize(("title", "table"), list(SCRIPT["tables"]()))
def test_every_table_of_the_page_is_the_one_printed(title, table):
    assert table in (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"), title


def test_the_operations_of_a_token_are_those_added_up_by_hand():
    # a layer: queries, keys and values, output, both halves of the gate, down
    layer = 3072 * (3072 + 2 * 1024) + 3072 * 3072 + 3072 * 2 * 8192 + 8192 * 3072
    total = 6 * (32 * layer + 200_064 * 3072) + 6 * 32 * 3072 * 16_384
    assert (
        f"| 16,384 | {6 * 32 * layer / 1e9:.2f} | 3.69 | 9.66 | {total / 1e9:.2f} |"
        in (dict(SCRIPT["tables"]())["Operations"])
    )


def test_the_paper_s_two_days_come_to_a_fifth_of_the_peak():
    implied = 150e9 * 32.68e9 / (128 * 2 * 86_400 * 989.4e12)
    assert f"| {100 * implied:.1f} % |" in dict(SCRIPT["tables"]())["The paper's run"]
