import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minireason import records
from minireason.errors import DataError, MissingError
from minireason.records import (
    Annotation,
    EvalSample,
    Example,
    Group,
    Pair,
    Prompt,
    Question,
    Refused,
    Rollout,
    Verdict,
    iter_records,
    read_records,
    schema,
    write_records,
)

USER = {"role": "user", "content": "1 + 1 = ? \u221a2\n"}
RIGHT = {"role": "assistant", "content": "\\boxed{2}"}
WRONG = {"role": "assistant", "content": ""}
RECORDS = [
    Question("q", USER["content"], "2", "own", "algebra", "high", "integer", "s"),
    Rollout("q", 3, "text", "m", "length", 17, 0.6, 0.95, 2**63 - 1),
    Verdict("q", 3, "unknown", "2", "identical", "because"),
    Example("q/0", [USER, RIGHT], "algebra", "high"),
    Pair("q/0", [USER], [RIGHT], [WRONG]),
    Prompt("q", [USER], "2", "integer", 0.25, 17.5, 0.1),
    Group(
        question_id="q",
        prompt_ids=[1, 2],
        response_ids=[[3], []],
        logprobs=[[-0.5], []],
        rewards=[1.0, None],
        finish_reasons=["stop", "length"],
        verdicts=["correct", "unknown"],
        extracted=["3", ""],
        reward_parts=[[1.0], [None]],
    ),
    Annotation(
        *("q", 3, "t", "d", "l", "correct", 0.5, 17, 60, True),
        *(0.25, 0.25, 0.5, 0.0, 0.0, 0.75, "truncated"),
    ),
    Refused("q", "solved too often", 4, 1.0, 17.5, 0.1),
    EvalSample("b", "q", 0, "t", "2", "r", "correct", "2", "identical", "stop", 9),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_the_same_after_writing_and_reading(record, tmp_path):
    path = tmp_path / "one.parquet"
    assert write_records(path, [record, record], type(record)) == 2
    assert read_records(path, type(record)) == [record, record]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_file_has_one_column_a_field_even_without_rows(record, tmp_path):
    write_records(tmp_path / "none.parquet", [], type(record))
    columns = pq.read_schema(tmp_path / "none.parquet")
    assert columns.names == [f.name for f in dataclasses.fields(record)]
    assert columns.equals(schema(type(record)))
    assert read_records(tmp_path / "none.parquet", type(record)) == []


def test_messages_are_lists_of_role_and_content():
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    assert schema(Example).field("messages").type == pa.list_(message)
    assert [schema(Pair).field(n).type for n in ("prompt", "chosen", "rejected")] == [
        pa.list_(message)
    ] * 3


def test_the_shards_of_a_folder_are_read_in_name_order(tmp_path):
    for number in (1, 0, 2):
        verdict = Verdict("q", number, "correct", "", "", "")
        write_records(tmp_path / f"part-{number:05d}.parquet", [verdict], Verdict)
    assert [v.index for v in iter_records(tmp_path, Verdict)] == [0, 1, 2]


def test_a_column_with_a_default_may_be_absent_and_others_are_ignored(tmp_path):
    table = pa.table({"id": ["q"], "text": ["t"], "answer": ["2"], "source": ["own"], "extra": [1]})
    pq.write_table(table, tmp_path / "q.parquet")
    assert read_records(tmp_path / "q.parquet", Question) == [Question("q", "t", "2", "own")]


def test_a_missing_column_is_an_error_naming_it_and_those_there_are(tmp_path):
    pq.write_table(pa.table({"id": ["q"], "text": ["t"]}), tmp_path / "q.parquet")
    with pytest.raises(DataError, match=r"q.parquet lacks the column 'answer' .* it has id, text"):
        read_records(tmp_path / "q.parquet", Question)


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + bytes(40) + b"PAR1"])
def test_an_unreadable_file_is_an_error_naming_it(content, tmp_path):
    (tmp_path / "q.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"q.parquet is not a readable Parquet file"):
        read_records(tmp_path / "q.parquet", Question)


def test_a_file_cut_short_is_an_error_naming_it(tmp_path):
    path = tmp_path / "q.parquet"
    write_records(path, [RECORDS[0]] * 100, Question)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"q.parquet is not a readable Parquet file"):
        read_records(path, Question)


def test_nothing_to_read_is_an_error_and_never_an_empty_set(tmp_path):
    with pytest.raises(MissingError, match="does not exist"):
        read_records(tmp_path / "none", Question)
    with pytest.raises(MissingError, match=r"holds no \*.parquet file"):
        read_records(tmp_path, Question)


def test_after_a_write_that_fails_readers_see_the_old_file_alone(tmp_path, monkeypatch):
    def run_out_of_space(writer, table):
        raise OSError(28, "No space left on device")

    write_records(tmp_path / "q.parquet", [RECORDS[0]], Question)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", run_out_of_space)
    with pytest.raises(OSError, match="No space"):
        write_records(tmp_path / "q.parquet", [RECORDS[0]] * 2, Question)
    assert read_records(tmp_path, Question) == [RECORDS[0]]


def test_records_are_written_as_they_come_and_read_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROW_GROUP", 2)
    rows = [dataclasses.replace(RECORDS[0], id=str(n)) for n in range(5)]
    assert write_records(tmp_path / "q.parquet", iter(rows), Question) == 5
    assert pq.ParquetFile(tmp_path / "q.parquet").num_row_groups == 3
    assert read_records(tmp_path, Question) == rows


def load_with_datasets(path, cache):
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(cache))


def test_datasets_reads_examples_as_trl_expects_conversations(tmp_path):
    write_records(tmp_path / "e.parquet", [RECORDS[3]], Example)
    loaded = load_with_datasets(tmp_path / "e.parquet", tmp_path / "cache")
    assert loaded.column_names == ["id", "messages", "domain", "level"]
    assert loaded[0]["messages"] == [USER, RIGHT]


def test_datasets_reads_pairs_as_trl_expects_preferences(tmp_path):
    from trl.data_utils import is_conversational

    write_records(tmp_path / "p.parquet", [RECORDS[4]], Pair)
    loaded = load_with_datasets(tmp_path / "p.parquet", tmp_path / "cache")
    assert {"prompt", "chosen", "rejected"} <= set(loaded.column_names)
    assert (loaded[0]["prompt"], loaded[0]["chosen"]) == ([USER], [RIGHT])
    assert is_conversational({k: loaded[0][k] for k in ("prompt", "chosen", "rejected")})
