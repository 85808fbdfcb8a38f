"""A file of responses comes back with verdicts, goes on after a death, and never loses a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chat_server import completion

from minireason.endpoint.server import Endpoint
from minireason.errors import DataError, MissingError, RunFolderError
from minireason.verify import Verifier, accuracy_reward, files
from minireason.verify.files import VerifyColumns, default_out, verify_file
from minireason.verify.judge import Judge

ROWS: list[dict[str, Any]] = [
    {"id": 1, "response": r"so \boxed{4}", "answer": "4", "score": 0.5},
    {"id": 2, "response": r"so \boxed{5}", "answer": "4", "score": None},
    {"id": 3, "response": "I give up on this one.\nNothing.", "answer": "4", "score": 1.0},
    {"id": 4, "response": r"\boxed{\frac{1}{2}}", "answer": "0.5", "score": 2.0},
    {"id": 5, "response": r"\boxed{\frac{1}{}", "answer": "0.5", "score": 2.0},
]
VERDICTS = ["correct", "incorrect", "incorrect", "correct", "incorrect"]


@pytest.fixture
def verifier() -> Any:
    with Verifier() as opened:
        yield opened


def lines(path: Path, rows: Any = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("part", [1, 2, 100])
def test_every_row_comes_back_in_order_with_its_verdict(
    part: int, verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_A_PART", part)
    source, out = lines(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    counts = verify_file(source, out, verifier)
    rows = read(out)
    assert [row["verdict"] for row in rows] == VERDICTS
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS
    assert rows[0]["extracted"] == "4" and rows[0]["method"] == "identical"
    assert counts == {"correct": 2, "incorrect": 3}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_parquet_keeps_its_types(verifier: Verifier, tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("id", pa.int32()),
            ("response", pa.string()),
            ("answer", pa.string()),
            ("score", pa.float32()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(ROWS, schema=schema), tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    verify_file(tmp_path / "in.parquet", out, verifier)
    assert [row["verdict"] for row in read(out)] == VERDICTS
    assert pq.read_schema(out).field("id").type == pa.int32()
    assert pq.read_schema(out).field("score").type == pa.float32()


def test_other_columns_messages_and_kinds(verifier: Verifier, tmp_path: Path) -> None:
    rows = [
        {"text": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "(B)"}],
         "gold": "B", "kind": "choice", "verdict": "mine"},
        {"text": r"\boxed{7}", "gold": 7, "kind": None, "verdict": "mine"},
    ]  # fmt: skip
    columns = VerifyColumns("text", "gold", "kind", prefix="our_")
    verify_file(lines(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", verifier, columns)
    found = read(tmp_path / "out.jsonl")
    assert [row["our_verdict"] for row in found] == ["correct", "correct"]
    assert [row["verdict"] for row in found] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "4"}, r"in\.jsonl:3: no column 'response'; the row has answer"),
        ({"response": None, "answer": "4"}, r"in\.jsonl:3: response is a NoneType"),
        ({"response": "4", "answer": "4", "verdict": 1}, r"in\.jsonl:3: there is a column 'verd"),
        ("text", r"in\.jsonl:3: a str; each row must be an object"),
    ],
)
def test_a_bad_row_is_named_and_what_was_done_is_kept(
    row: Any, message: str, verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_A_PART", 2)
    source = lines(tmp_path / "in.jsonl", [*ROWS[:2], row, *ROWS[2:]])
    with pytest.raises(DataError, match=message):
        verify_file(source, tmp_path / "out.jsonl", verifier)
    kept = tmp_path / "out.jsonl.partial" / "part-00000"
    assert [r["verdict"] for r in read(kept)] == VERDICTS[:2]
    assert not (tmp_path / "out.jsonl").exists()


def test_after_a_death_the_finished_parts_are_not_done_again(
    verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_A_PART", 2)
    source, out = lines(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    asked: list[int] = []

    class Watched:
        def verify_batch(self, items: Any) -> Any:
            if sum(asked) >= 4 and len(asked) == 2:
                asked.append(0)
                raise KeyboardInterrupt
            asked.append(len(items))
            return verifier.verify_batch(items)

    with pytest.raises(KeyboardInterrupt):
        verify_file(source, out, Watched())  # type: ignore[arg-type]
    assert verify_file(source, out, Watched()) == {"correct": 2, "incorrect": 3}  # type: ignore[arg-type]
    assert asked == [2, 2, 0, 1]
    assert [row["verdict"] for row in read(out)] == VERDICTS


def test_parts_of_another_file_are_not_taken_over(
    verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_A_PART", 2)
    with pytest.raises(DataError):
        verify_file(lines(tmp_path / "a.jsonl", [*ROWS, {}]), tmp_path / "out.jsonl", verifier)
    with pytest.raises(RunFolderError, match=r"out\.jsonl\.partial was begun from another file"):
        verify_file(lines(tmp_path / "b.jsonl"), tmp_path / "out.jsonl", verifier)


def test_nothing_to_verify_says_so(verifier: Verifier, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="has no rows"):
        verify_file(tmp_path / "empty.jsonl", tmp_path / "out.jsonl", verifier)
    with pytest.raises(MissingError, match="does not exist"):
        verify_file(tmp_path / "none.jsonl", tmp_path / "other.jsonl", verifier)
    assert not (tmp_path / "other.jsonl.partial").exists()
    with pytest.raises(DataError, match="is of no known kind"):
        verify_file(lines(tmp_path / "in.csv"), tmp_path / "other.jsonl", verifier)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match=r"bad\.parquet is not a readable Parquet file"):
        verify_file(tmp_path / "bad.parquet", tmp_path / "other.parquet", verifier)


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("a/x.jsonl", "a/x.verified.jsonl"),
        ("x.jsonl.gz", "x.verified.jsonl"),
        ("x.json", "x.verified.jsonl"),
        ("x.parquet", "x.verified.parquet"),
    ],
)
def test_the_default_output_lies_beside_the_source(source: str, out: str) -> None:
    assert default_out(Path(source)) == Path(out)


def test_the_reward_is_what_a_trainer_expects() -> None:
    completions = [
        r"\boxed{2}",
        [{"role": "assistant", "content": "The answer is 3."}],
        r"\boxed{x",
    ]
    assert accuracy_reward(completions, ["2", "2", "2"], prompts=["?"] * 3) == [1.0, 0.0, 0.0]
    assert accuracy_reward([r"\boxed{2}"], [" "]) == [None]
    assert accuracy_reward.__name__ == "accuracy_reward"


def test_a_judge_rechecks_the_rows_and_logs_beside_the_output(
    verifier: Verifier, serve: Any, tmp_path: Path
) -> None:
    rows = [
        {"response": "\\boxed{3}", "answer": "4", "question": "2 + 2?"},
        {"response": "\\boxed{4}", "answer": "4"},
        {"response": "\\boxed{3}", "answer": "4", "question": "2 + 2?"},
        {"response": "\\boxed{3}", "answer": "4", "finish_reason": "length"},
    ]
    server = serve(lambda request, n: completion("Verdict: correct"))
    judge = Judge(Endpoint(server.url, "j"))
    out = tmp_path / "out.jsonl"
    source = lines(tmp_path / "in.jsonl", rows)
    assert verify_file(source, out, verifier, judge=judge) == {"correct": 3, "incorrect": 1}
    methods = [json.loads(line)["method"] for line in out.read_text().splitlines()]
    assert (methods[0], methods[2]) == ("judge", "judge")
    assert len(server.requests) == 1
    [call] = (tmp_path / "out.judge.jsonl").read_text().splitlines()[1:]
    assert json.loads(call)["question_id"] == "row 0"
