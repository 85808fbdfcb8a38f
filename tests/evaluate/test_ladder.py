import io
import json

import pytest
from rich.console import Console

from minireason.errors import DataError
from minireason.evaluate.ladder import ladder_rows, ladder_table, points, read_summaries
from minireason.evaluate.summary import summarize


def ladder(make_samples) -> list[dict]:
    base, sft = make_samples(["0"] * 30), make_samples(["1"] * 20 + ["0"] * 10)
    previous = {"rung": "base", "samples": {"held-out": base}}
    extra = make_samples(["1"] * 4, "extra")
    return [
        summarize({"held-out": sft, "extra": extra}, "sft", "tiny-sft", previous),
        summarize({"held-out": base}, "base", "tiny"),
    ]


def test_rungs_come_in_the_order_of_the_recipe_with_every_benchmark(make_samples) -> None:
    rows = ladder_rows(ladder(make_samples))
    assert [row.rung for row in rows] == ["base", "sft"]
    assert [list(row.cells) for row in rows] == [["held-out", "extra"]] * 2
    assert rows[0].cells["extra"] is None


def test_the_table_shows_rate_interval_length_truncation_and_marked_change(make_samples) -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(ladder_table(ladder(make_samples)))
    text = console.file.getvalue()
    for part in ("66.7 [48.", "10 tokens, 0.0 % cut", "▲ +66.7", "not run", "held-out"):
        assert part in text


def test_an_empty_ladder_is_an_empty_table() -> None:
    assert ladder_table([]).row_count == 0


def test_points_carry_their_sign_and_zero_has_none() -> None:
    assert [points(d) for d in (0.123, -0.05, 0.0, -0.0001)] == ["+12.3", "−5.0", "0.0", "0.0"]


def test_the_summaries_of_a_run_folder_are_those_that_are_there(make_samples, tmp_path) -> None:
    for summary in ladder(make_samples):
        folder = tmp_path / f"evaluate-{summary['rung']}"
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps(summary))
    assert [summary.rung for summary in read_summaries(tmp_path)] == ["base", "sft"]
    (tmp_path / "evaluate-sft" / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"evaluate-sft/summary\.json is not readable JSON"):
        read_summaries(tmp_path)
