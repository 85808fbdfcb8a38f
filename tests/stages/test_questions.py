import json
from pathlib import Path

import pytest

from minireason.errors import DataError
from minireason.evaluate.benchmarks import benchmark_questions
from minireason.progress import Progress
from minireason.recipe_file import parse_recipe
from minireason.records import Question, read_records
from minireason.stages.questions import questions
from minireason.step import StepContext

BENCHMARK = "embedded-math"
ROWS = [
    {"question": f"What is {n} plus {n}?", "answer": str(2 * n), "solution": f"\\boxed{{{2 * n}}}"}
    for n in range(1, 6)
]


@pytest.fixture
def collect(tmp_path):
    """Run the step on these sources: the counts and the questions."""

    def run(sources, **settings):
        recipe = parse_recipe(
            {
                "questions": {"sources": [str(s) for s in sources], **settings},
                "rollout": {"teacher": "traces"},
                "evaluate": {"benchmarks": [BENCHMARK]},
            }
        )
        counts = questions(StepContext(recipe, tmp_path, {}, Progress(is_quiet=True)))
        return counts, read_records(tmp_path / "part-00000.parquet", Question)

    return run


@pytest.fixture
def rows_file(tmp_path):
    def write(rows, name="train.jsonl"):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
        return tmp_path / name

    return write


def test_a_file_of_questions_is_taken_whole(collect, rows_file):
    counts, found = collect([rows_file(ROWS)])
    assert counts["in"] == counts["out"] == len(found) == 5
    assert [q.answer for q in found] == ["2", "4", "6", "8", "10"]
    assert found[0].solution == "\\boxed{2}"


def test_a_question_of_a_benchmark_is_dropped_and_counted(collect, rows_file):
    held_out = benchmark_questions(BENCHMARK)[:3]
    copies = [{"question": q.text, "answer": q.answer} for q in held_out]
    counts, found = collect([rows_file([*ROWS, *copies])])
    assert counts["in"] == 8
    assert {q.text for q in found} == {row["question"] for row in ROWS}
    assert sum(n for name, n in counts.items() if name.startswith("dropped: ")) == 3


def test_what_a_benchmark_asks_too_is_written_with_both_texts(collect, rows_file, tmp_path):
    held_out = benchmark_questions(BENCHMARK)[0]
    collect([rows_file([*ROWS, {"question": held_out.text.upper(), "answer": held_out.answer}])])
    [line] = (tmp_path / "contaminated.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "question_id": "train/6",
        "evaluation_id": held_out.id,
        "reason": "equals an evaluation question",
        "overlap": 1.0,
        "text": held_out.text.upper(),
        "evaluation_text": held_out.text,
    }


def test_only_exact_copies_are_dropped_where_overlap_is_off(collect, rows_file):
    # Nine of its ten 8-grams are the benchmark's: dropped at 0.8, kept at 0 (exact copies only).
    text = max((q.text for q in benchmark_questions(BENCHMARK)), key=lambda t: len(t.split()))
    near = {"question": f"Please answer this: {text}", "answer": "1"}
    exact = {"question": text, "answer": "1"}
    _, without = collect([rows_file([near, exact, *ROWS])], overlap=0.0)
    _, with_overlap = collect([rows_file([near, exact, *ROWS])])
    assert len(without) == 6
    assert len(with_overlap) == 5


def test_a_repeated_question_is_dropped_and_counted(collect, rows_file):
    counts, found = collect([rows_file([*ROWS, ROWS[0]])])
    assert (counts["in"], counts["dropped: duplicate question"], len(found)) == (6, 1, 5)


def test_a_question_in_slightly_other_words_is_dropped_unless_allowed(collect, rows_file):
    one = "Anna buys 3 red apples and 4 green pears on the market in town. How many has she?"
    rows = [{"question": text, "answer": "7"} for text in (one, one.replace("town", "the town"))]
    counts, found = collect([rows_file([*ROWS, *rows])])
    assert (len(found), counts["dropped: nearly a duplicate question"]) == (6, 1)
    assert len(collect([rows_file([*ROWS, *rows])], near_duplicates=0)[1]) == 7


def test_one_id_in_two_sources_is_refused(collect, rows_file):
    sources = [
        rows_file([{"id": "q", "question": f"What is {n} plus 1?", "answer": n + 1}], f"{n}.jsonl")
        for n in (1, 2)
    ]
    with pytest.raises(DataError, match="id 'q' is in two sources"):
        collect(sources)


def test_everything_dropped_is_an_error_with_the_reason(collect, rows_file):
    held_out = benchmark_questions(BENCHMARK)[0]
    with pytest.raises(DataError, match="no training questions left of 1 rows; dropped: 1 equals"):
        collect([rows_file([{"question": held_out.text, "answer": held_out.answer}])])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"question": "What is', "not valid JSON"),
        ({"question": "What is 7 plus 7?"}, "no answer"),
        ({"answer": "14"}, "no question"),
        ("[1, 2]", "a list; each row must be an object"),
    ],
)
def test_a_bad_row_is_an_error_with_file_and_line(row, reason, collect, rows_file):
    with pytest.raises(DataError, match=rf"train\.jsonl:3: {reason}"):
        collect([rows_file([*ROWS[:2], row, *ROWS[2:]])])


def test_a_bad_row_may_be_dropped_and_is_counted(collect, rows_file):
    counts, found = collect([rows_file([*ROWS, "{"])], bad_rows="drop")
    assert (counts["in"], counts["dropped: unreadable row"], counts["out"]) == (6, 1, len(found))


def test_columns_may_have_any_name(collect, rows_file):
    path = rows_file([{"frage": "What is 1 plus 8?", "zahl": 9}])
    _, (found,) = collect([path], question_column="frage", answer_column="zahl")
    assert (found.text, found.answer) == ("What is 1 plus 8?", "9")


def test_sources_add_up_and_the_limit_holds_for_each(collect, rows_file):
    other = [{"question": f"What is {n} times three?", "answer": 3 * n} for n in range(9)]
    sources = [rows_file(ROWS), rows_file(other, "other.jsonl"), "procedural"]
    _, found = collect(sources, limit=4, overlap=0)
    assert [sum(q.source == s for q in found) for s in ("train", "other")] == [4, 4]
    assert len(found) == 12


def test_procedural_questions_are_of_the_levels_asked_for(collect):
    _, found = collect(["procedural"], limit=30, levels=["middle", "high"])
    assert {q.level for q in found} == {"middle", "high"}


def test_procedural_questions_are_the_same_again_and_others_for_another_seed(collect):
    texts = [tuple(q.text for q in collect(["procedural"], limit=20)[1]) for _ in range(2)]
    assert texts[0] == texts[1]


def test_questions_without_domain_and_level_get_them_from_the_text(collect, rows_file):
    row = {"question": "What is the area of a square of side 3?", "answer": 9, "solution": "3 * 3"}
    _, (found,) = collect([rows_file([row])])
    assert (found.domain, found.level) == ("geometry", "elementary")


def test_a_source_that_leaves_no_question_is_an_error(collect, rows_file):
    held_out = benchmark_questions(BENCHMARK)[0]
    path = rows_file([{"question": held_out.text, "answer": held_out.answer}])
    with pytest.raises(DataError, match=r"no .*questions left of 1 rows"):
        collect([path])


def test_the_step_notices_a_changed_source(rows_file, tmp_path):
    from minireason.errors import RunFolderError
    from minireason.runner import Runner

    path = rows_file(ROWS)
    recipe = parse_recipe(
        {
            "questions": {"sources": [str(path)]},
            "rollout": {"teacher": "traces"},
            "run": {"stages": []},
        }
    )
    quiet = Progress(is_quiet=True)
    runner = Runner(recipe, tmp_path / "run", quiet)
    runner.run(runner.choose(only="questions"))
    assert runner.state(runner.steps[0]) == "done"
    Path(path).write_text(path.read_text() + '{"question": "What is one?", "answer": 1}\n')
    with pytest.raises(RunFolderError, match=r"input\..*train.jsonl was '\w+\.\.\., is now '"):
        Runner(recipe, tmp_path / "run", quiet).state(runner.steps[0])
