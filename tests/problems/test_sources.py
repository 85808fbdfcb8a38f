"""Questions from files of many shapes; every bad row is named by its place."""

import gzip
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minireason.errors import DataError, MissingError
from minireason.problems.rows import QuestionColumns, answer_of_solution
from minireason.problems.sources import load_questions
from minireason.records import Question, write_records

GOOD = {"id": "a", "question": "1+1?", "answer": "2"}
TORN_GZIP = gzip.compress(b'{"question": "?", "answer": "1"}\n' * 9, mtime=0)[:-9]


@pytest.fixture
def write(tmp_path):
    def to_file(*rows, name="data.jsonl"):
        path = tmp_path / name
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]
        path.write_bytes(b"\n".join(lines))
        return str(path)

    return to_file


def one(path, **settings):
    [question] = load_questions(path, **settings)
    return question


def test_usual_columns_become_a_question(write):
    row = {"id": "x", "problem": " 1+1? ", "gold": 2, "type": "Algebra", "level": "Level 1"}
    assert one(write(row)) == Question("x", "1+1?", "2", "data", "Algebra", "Level 1")


def test_named_columns_go_before_the_usual_ones(write):
    row = {"question": "no", "answer": "no", "q": "1+1?", "a": "2", "source": "S"}
    question = one(write(row), columns=QuestionColumns(question="q", answer="a"))
    assert (question.id, question.text, question.answer) == ("data/1", "1+1?", "2")
    assert question.source == "S"


def test_missing_named_column_lists_those_there(write):
    with pytest.raises(DataError, match=r"data\.jsonl:1: no column 'q' for the question; .* id, q"):
        load_questions(write(GOOD), columns=QuestionColumns(question="q"))


@pytest.mark.parametrize("column", ["solution", "answer"])
def test_gsm8k_answer_follows_the_hashes_and_calculator_marks_go(write, column):
    question = one(write({"question": "?", column: "6*7=<<6*7=42>>42\n#### 42"}))
    assert (question.answer, question.solution) == ("42", "6*7=42\n#### 42")


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So \boxed{1}, no, $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"So \fbox{7}", "7"),
        (r"$x = \boxed 3$.", "3"),
        (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
        (r"\boxed{1", ""),
        ("no box", ""),
    ],
)
def test_math_answer_is_the_last_box_of_the_solution(solution, answer):
    assert answer_of_solution(solution) == answer


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["A)10", "B) 20", "(C) 30"], "B"),
        (["10", "20", "30"], "(b)"),
        (["10", "20", "30"], "20"),
        (["10", "20", "30"], 1),
        ({"label": ["A", "B", "C"], "text": ["10", "20", "30"]}, "B"),
        ({"A": "10", "B": "20", "C": "30"}, "B"),
    ],
)
def test_options_become_text_and_the_answer_a_letter(write, options, answer):
    question = one(write({"question": "5*4?", "options": options, "answer": answer}))
    assert question.text == "5*4?\n\nA) 10\nB) 20\nC) 30"
    assert (question.answer, question.answer_kind) == ("B", "choice")


@pytest.mark.parametrize(
    ("options", "answer", "message"),
    [
        (["1", "2"], "C", "names no single option"),
        (["2", "1"], 1, "names no single option"),  # an index or the text?
        (["1", "1"], "1", "names no single option"),
        (["1"], "A", "two or more"),
        ("AB", "A", "two or more"),
        (["1"] * 27, "A", "27 options"),
        (["1", "2"], None, "no answer"),
    ],
)
def test_options_that_do_not_fit_the_answer_are_refused(write, options, answer, message):
    with pytest.raises(DataError, match=message):
        load_questions(write({"question": "?", "options": options, "answer": answer}))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"{oops", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        ([1], "a list; each row must be an object"),
        ({"question": "?"}, "no answer; give one in a column 'answer' or"),
        ({"question": " ", "answer": "1"}, "no question; give one in a column 'question' or"),
        ({"question": "?", "answer": float("nan")}, "no answer; give one"),
        ({"question": "?", "answer": ["1"]}, "the answer is a list; it must be text or a number"),
        ({"question": "?", "answer": True}, "the answer is a bool"),
        ({"question": "\ud800", "answer": "1"}, "the question is not valid Unicode"),
        (GOOD, "id 'a' appeared before"),
    ],
)
def test_bad_row_is_named_by_file_and_line_or_handed_over(write, bad, message):
    path = write(GOOD, b"", bad, {**GOOD, "id": "b"})
    with pytest.raises(DataError, match=rf"^data\.jsonl:3: {message}"):
        load_questions(path)
    errors = []
    assert [q.id for q in load_questions(path, on_bad_row=errors.append)] == ["a", "b"]
    assert len(errors) == 1


def test_every_kind_of_file_gives_the_same_questions(write, tmp_path):
    rows = [{"question": f"{i}?", "answer": str(i)} for i in range(5)]
    expected = [(q.text, q.answer, q.id) for q in load_questions(write(*rows))]
    Path(write(json.dumps(rows).encode(), name="data.json"))
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress((tmp_path / "data.jsonl").read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    for name in ("data.json", "data.jsonl.gz", "data.parquet"):
        assert [(q.text, q.answer, q.id) for q in load_questions(str(tmp_path / name))] == expected


def test_folder_of_our_own_questions_comes_back_as_it_was(tmp_path):
    questions = [
        Question(f"q{i}", f"{i}?", str(i), "mine", "algebra", "high", "integer", "Easy.")
        for i in range(6)
    ]
    write_records(tmp_path / "part-00000.parquet", questions[:4], Question)
    write_records(tmp_path / "part-00001.parquet", questions[4:], Question)
    assert load_questions(str(tmp_path)) == questions


def test_question_given_as_messages_is_the_users_last(write):
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": "1+1?"}]
    assert one(write({"prompt": messages, "answer": 2.0})).answer == "2"
    assert one(write({"prompt": messages, "answer": "2"})).text == "1+1?"


def test_limit_draws_by_seed_and_smaller_is_a_prefix_of_larger(write):
    path = write(*({"question": f"{i}?", "answer": "1"} for i in range(50)))
    larger = load_questions(path, limit=20)
    assert load_questions(path, limit=5) == larger[:5]
    assert load_questions(path, limit=20, seed=1) != larger
    assert len(load_questions(path, limit=99)) == 50
    with pytest.raises(DataError, match="limit is 0"):
        load_questions(path, limit=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.jsonl", b"\n\n", "holds no usable question"),
        ("data.json", b'{"a": 1}', "holds a JSON dict"),
        ("data.json", b"[1,", "not valid JSON"),
        ("data.csv", b"a,b", "of no known kind; allowed: .jsonl"),
        ("data.parquet", b"PAR", "not a readable Parquet file"),
        ("data.jsonl.gz", b"not gzip", r"data\.jsonl\.gz:1: cannot read on"),
        ("data.jsonl.gz", TORN_GZIP, "cannot"),
    ],
)
def test_file_that_cannot_be_used_says_why(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_questions(str(tmp_path / name))


def test_missing_path_and_empty_folder_are_missing(tmp_path):
    with pytest.raises(MissingError, match="does not exist; give a file"):
        load_questions(str(tmp_path / "none.jsonl"))
    with pytest.raises(MissingError, match=r"holds no \*\.parquet"):
        load_questions(str(tmp_path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["id", "question", "answer", "solution", "options", "level", "source"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(NAMES, JSON), st.sampled_from(["utf-8", "utf-16"]))
def test_any_row_is_a_question_with_text_and_answer_or_a_data_error(write, row, encoding):
    path = write(json.dumps(row).encode(encoding))
    try:
        question = one(path)
    except DataError:
        return
    assert question.text and question.answer and question.id
    write_records(Path(path).with_name("out.parquet"), [question], Question)


def test_hub_set_is_loaded_by_name_config_and_split_without_its_code(monkeypatch):
    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        return [{"question": "1+1?", "answer": "2"}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert one("hf:openai/gsm8k:main", split="test").id == "openai/gsm8k/test/1"
    assert one("hf:owner/name").source == "owner/name"
    assert calls == [
        (("openai/gsm8k", "main"), {"split": "test"}),
        (("owner/name", None), {"split": "train"}),
    ]


@pytest.mark.parametrize("name", ["hf:gsm8k", "hf:", "hf:a/b/c", "hf:/b"])
def test_hub_name_must_have_an_owner(name):
    with pytest.raises(DataError, match="hf:owner/name"):
        load_questions(name)


def test_hub_set_that_is_not_there_is_missing(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise FileNotFoundError("no such data set")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(MissingError, match="cannot load hf:a/b split 'train': no such data set"):
        load_questions("hf:a/b")


@pytest.fixture(scope="session")
def data_folder():
    folder = os.environ.get("MINIREASON_DATA", "")
    if not folder:
        pytest.skip("MINIREASON_DATA names no folder of real data")
    return Path(folder)


@pytest.mark.parametrize(
    ("name", "num_questions", "num_bad"),
    [
        ("problems/aqua_dev", 254, 0),
        ("problems/gsm8k_train", 7473, 0),
        ("problems/math_train", 7498, 2),  # two solutions end in an empty box
        ("benchmarks/math500", 500, 0),
        ("benchmarks/aime2025", 30, 0),
    ],
)
def test_real_files_load_whole(data_folder, name, num_questions, num_bad):
    errors = []
    questions = load_questions(str(data_folder / f"{name}.jsonl"), on_bad_row=errors.append)
    assert (len(questions), len(errors)) == (num_questions, num_bad)
    assert not any("<<" in q.solution and "gsm8k" in name for q in questions)


def test_answers_read_from_real_solutions_are_the_ones_given(data_folder):
    for name in ("gsm8k_train", "math_train"):
        lines = (data_folder / "problems" / f"{name}.jsonl").read_bytes().splitlines()
        rows = [row for row in map(json.loads, lines) if row["answer"]]
        found = [answer_of_solution(row["solution"]) for row in rows]
        agree = sum(
            a.replace(",", "") == row["answer"].replace(",", "")
            for a, row in zip(found, rows, strict=True)
        )
        assert agree >= 0.99 * len(rows)
