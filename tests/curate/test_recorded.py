import json

import pytest

from minireason.curate import recorded
from minireason.curate.recorded import collect_rollouts
from minireason.errors import DataError
from minireason.records import Question, Rollout, read_records

QUESTIONS = [Question(f"q{i}", f"What is {i}+{i}?", str(2 * i), "t") for i in range(5)]


@pytest.fixture
def collect(tmp_path):
    """Collects rows written as JSON Lines; (rollouts by shard, counts)."""

    def run(rows, folder="out", num_rollouts=9, shard_size=2):
        source = tmp_path / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = tmp_path / folder
        out.mkdir(exist_ok=True)
        counts = collect_rollouts(
            [source], QUESTIONS, out, num_rollouts=num_rollouts, shard_size=shard_size
        )
        return [read_records(p, Rollout) for p in sorted(out.glob("*.parquet"))], counts

    return run


def keys(shards):
    return [[(r.question_id, r.index, r.response) for r in shard] for shard in shards]


def test_rows_in_any_order_become_shards_in_the_questions_order(collect):
    rows = [
        {"question": "what is 4+4", "response": "8"},
        {"question_id": "q0", "response": "zero"},
        {"question": "What is $1+1$?", "response": "two"},
        {"question_id": "q0", "response": "0"},
    ]
    shards, counts = collect(rows)
    assert keys(shards) == [
        [("q0", 0, "zero"), ("q0", 1, "0"), ("q1", 0, "two")],
        [],
        [("q4", 0, "8")],
    ]
    assert counts == {"in": 4, "out": 4}


def test_rows_of_no_question_and_those_over_the_number_are_counted(collect):
    rows = [{"question_id": "q1", "response": str(n)} for n in range(4)]
    shards, counts = collect([*rows, {"question": "Who?", "response": "I"}], num_rollouts=3)
    assert [len(shard) for shard in shards] == [3, 0, 0]
    assert counts == {
        "in": 5,
        "out": 3,
        "dropped: question not kept": 1,
        "dropped: over num_rollouts": 1,
    }


@pytest.mark.parametrize(
    ("row", "responses"),
    [
        ({"problem": "What is 0+0?", "generations": ["a", "b"]}, ["a", "b"]),
        ({"question": "What is 0+0?", "completion": [{"role": "assistant", "content": "a"}]}, "a"),
        (
            {
                "conversations": [
                    {"from": "human", "value": "What is 0+0?"},
                    {"from": "gpt", "value": "a"},
                ]
            },
            "a",
        ),
        ({"question_id": "q0", "response": ""}, [""]),
    ],
)
def test_the_usual_layouts_are_read(collect, row, responses):
    shards, _ = collect([row])
    assert [r.response for r in shards[0]] == list(responses)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "stop"),
        ({"finish_reason": "length"}, "length"),
        ({"has_end": False}, "length"),
        ({"response": "<think> and so on"}, "length"),
        ({"response": "<think> so </think> 5"}, "stop"),
        ({"response": "<think> so", "has_end": True}, "stop"),
        ({"responses": ["a"], "finish_reasons": ["length"]}, "length"),
    ],
)
def test_a_response_is_truncated_if_the_row_or_its_thinking_says_so(collect, more, reason):
    shards, _ = collect([{"question_id": "q0", "response": "5", **more}])
    assert shards[0][0].finish_reason == reason


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"response": "a"}, "rows.jsonl:1: no question; .*the row has response"),
        ({"question_id": "q0"}, "rows.jsonl:1: no response; give text"),
        ({"question_id": "q0", "response": 5}, "rows.jsonl:1: the response is a int"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(collect, row, message):
    with pytest.raises(DataError, match=message):
        collect([row])


def test_an_interrupted_collection_goes_on_and_ends_the_same(collect, monkeypatch):
    rows = [{"question_id": f"q{n % 5}", "response": str(n)} for n in range(23)]
    whole, counts = collect(rows, num_rollouts=3)
    write, written = recorded.write_records, []

    def write_two(path, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, *rest)

    monkeypatch.setattr(recorded, "write_records", write_two)
    with pytest.raises(KeyboardInterrupt):
        collect(rows, folder="again", num_rollouts=3)
    monkeypatch.setattr(recorded, "write_records", write)
    assert collect(rows, folder="again", num_rollouts=3) == (whole, counts)


def test_a_kill_after_the_last_shard_loses_nothing(collect, monkeypatch):
    rows = [{"question_id": f"q{n % 5}", "response": str(n)} for n in range(23)]
    whole = collect(rows)
    assert collect(rows) == whole  # the buckets are gone, the shards are there


def test_what_is_held_in_memory_is_bounded(collect, monkeypatch):
    rows = [{"question_id": f"q{n % 5}", "response": str(n)} for n in range(23)]
    whole = collect(rows)
    monkeypatch.setattr(recorded, "_BUFFERED", 100)
    assert collect(rows, folder="small") == whole
