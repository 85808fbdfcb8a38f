import json
from pathlib import Path

import pytest

from minireason.errors import DataError
from minireason.progress import Progress
from minireason.recipe_file import load_recipe
from minireason.records import EvalSample, read_records
from minireason.runfolder import read_json
from minireason.stages.evaluate import evaluate
from minireason.step import StepContext

ROWS = [
    {"id": f"own-{n}", "question": f"Which letter is number {n}?", "answer": f"{'ABCD'[n]}"}
    for n in range(4)
]


@pytest.fixture
def benchmark(tmp_path):
    path = tmp_path / "letters.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def measure(smoke_arguments, tmp_path):
    """Evaluate the base on one benchmark into a folder of this name."""

    def run(benchmark, name="evaluate-base", inputs=None, **settings):
        overrides = [f'evaluate.benchmarks=["{benchmark}"]', "evaluate.limit=0"]
        overrides += [f"evaluate.{key}={value}" for key, value in settings.items()]
        recipe = load_recipe(Path(smoke_arguments[0]), [*smoke_arguments[2::2], *overrides])
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        counts = evaluate(StepContext(recipe, folder, inputs or {}, Progress(is_quiet=True)))
        return counts, folder

    return run


def test_a_local_file_is_a_benchmark(measure, benchmark):
    counts, folder = measure(benchmark)
    assert counts == {"in": 4 * 2, "out": 4 * 2}
    samples = read_records(folder / "samples" / "letters.parquet", EvalSample)
    assert [(s.question_id, s.index) for s in samples] == [
        (row["id"], index) for row in ROWS for index in range(2)
    ]
    assert {s.answer for s in samples} == set("ABCD")


def test_the_summary_is_of_the_samples(measure, benchmark):
    _, folder = measure(benchmark)
    samples = read_records(folder / "samples" / "letters.parquet", EvalSample)
    summary = read_json(folder / "summary.json")
    assert summary["rung"] == "base"
    measured = summary["benchmarks"]["letters"]
    num_correct = sum(sample.verdict == "correct" for sample in samples)
    assert measured["pass_at_1"] == pytest.approx(num_correct / 8)
    assert measured["num_questions"] == 4


def test_finished_benchmarks_are_not_asked_again(measure, benchmark):
    _, folder = measure(benchmark)
    path = folder / "samples" / "letters.parquet"
    before = (path.stat().st_mtime_ns, (folder / "summary.json").read_bytes())
    measure(benchmark)
    assert (path.stat().st_mtime_ns, (folder / "summary.json").read_bytes()) == before


def test_a_rung_is_compared_with_the_one_before_it(measure, benchmark):
    _, previous = measure(benchmark)
    _, folder = measure(benchmark, "evaluate-sft", {"previous": previous})
    summary = read_json(folder / "summary.json")
    change = summary["benchmarks"]["letters"]["against_previous"]
    assert (summary["rung"], change["rung"], change["difference"]) == ("sft", "base", 0.0)


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(measure, benchmark):
    def responses(name, seed):
        _, folder = measure(benchmark, name, seed=seed, temperature=3.0, max_tokens=8)
        found = read_records(folder / "samples" / "letters.parquet", EvalSample)
        return [sample.response for sample in found]

    assert responses("evaluate-a", 1) == responses("evaluate-b", 1) != responses("evaluate-c", 2)


def test_a_response_cut_at_the_limit_says_so(measure, benchmark):
    _, folder = measure(benchmark, max_tokens=1)
    samples = read_records(folder / "samples" / "letters.parquet", EvalSample)
    assert {(s.num_tokens, s.finish_reason) for s in samples} == {(1, "length")}


def test_samples_that_do_not_cover_the_benchmark_are_an_error(measure, benchmark):
    measure(benchmark)
    with benchmark.open("a") as file:
        file.write('{"id": "own-9", "question": "And the last?", "answer": "D"}\n')
    with pytest.raises(DataError, match="own-9"):
        measure(benchmark)
