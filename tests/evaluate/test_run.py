import dataclasses
import json

import pytest
from backends import FakeBackend

from minireason.errors import DataError, PromptTooLongError, RunFolderError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.results import read_results
from minireason.evaluate.run import evaluate
from minireason.evaluate.sample import ScoredSample
from minireason.evaluate.sampling import Measuring as SamplingMeasuring
from minireason.evaluate.sampling import Sampling
from minireason.evaluate.scorer import Scorer
from minireason.inference.backend import Response, Turn
from minireason.progress import Progress
from minireason.records import EvalSample, Question, read_records
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed

QUESTIONS = [
    Question(f"q{n}", f"What is {n} + 1?", str(n + 1), "test", "arithmetic", level)
    for n, level in enumerate(["middle", "middle", "high"])
]
SECRET = Question("rec-1", "A secret?\n\nA) the sea\nB) the sky", "B", "test", answer_kind="choice")
PARAMS = SamplingParams(temperature=0.6, max_tokens=50, seed=3)
ABOUT = {"model": {"kind": "embedded", "weights": "w"}, "engine": {"device": "cpu", "batch": 2}}


def add(text, seed):
    """Right for even seeds."""
    number = int(text.split()[-3])
    return f"So \\boxed{{{number + 1 + seed % 2}}}"


@pytest.fixture
def run(tmp_path):
    def start(backend=None, questions=QUESTIONS, name="out", about=ABOUT, **changes):
        fields = {"label": "sums", "prompt": "{question}", "is_withheld": False}
        fields |= {key: changes.pop(key) for key in list(changes) if key in fields}
        samples, keeps = changes.pop("samples", 4), changes.pop("keeps", False)
        scorer = changes.pop("scorer", None)
        params = dataclasses.replace(PARAMS, **changes)
        asked = Asked(questions=questions, num_all=9, **fields)
        return evaluate(
            backend or FakeBackend(add),
            [asked],
            Sampling(samples, params, keeps_withheld=keeps, scorer=scorer),
            tmp_path / name,
            about,
            Progress(is_quiet=True),
        )

    return start


def files(folder):
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_every_question_is_asked_k_times_with_seeds_of_its_own(run, tmp_path):
    backend = FakeBackend(add)
    run(backend, prompt="Think. {question}")
    assert [turn.params.seed for turn in backend.turns] == [
        derive_seed(3, question.id, index) for question in QUESTIONS for index in range(4)
    ]
    assert backend.turns[0].messages == [{"role": "user", "content": "Think. What is 0 + 1?"}]
    samples = read_records(tmp_path / "out" / "samples" / "sums.parquet", ScoredSample)
    assert [(s.question_id, s.index) for s in samples] == [
        (question.id, index) for question in QUESTIONS for index in range(4)
    ]
    assert samples[0].question == "What is 0 + 1?"


def test_the_results_are_those_of_the_samples(run):
    results = run().benchmarks["sums"]
    rights = [
        [derive_seed(3, question.id, index) % 2 == 0 for index in range(4)]
        for question in QUESTIONS
    ]
    assert results.pass_at_1 == pytest.approx(sum(map(sum, rights)) / 12)
    assert results.pass_at_k["4"].pass_at_1 == pytest.approx(sum(map(any, rights)) / 3)
    assert list(results.pass_at_k) == ["1", "2", "4"]
    assert results.pass_at_k["1"].pass_at_1 == pytest.approx(results.pass_at_1)
    assert set(results.by_level) == {"middle", "high"}


@pytest.mark.parametrize("most", [0, 1, 5, 11])
def test_a_killed_evaluation_goes_on_and_gives_the_same_files(run, tmp_path, most):
    whole = run(name="whole")
    with pytest.raises(KeyboardInterrupt):
        run(FakeBackend(add, most=most), name="killed")
    rest = FakeBackend(add)
    assert run(rest, name="killed") == whole
    assert len(rest.turns) == 12 - most
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_torn_line_costs_one_sample(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(FakeBackend(add, most=5))
    journal = tmp_path / "out" / "samples" / "sums.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    rest = FakeBackend(add)
    run(rest)
    assert len(rest.turns) == 8


def test_what_is_finished_is_not_asked_again(run, tmp_path):
    run()
    before = files(tmp_path / "out")
    again = FakeBackend(add)
    run(again)
    assert not again.turns and files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 1.0}, "sampling.temperature was 0.6, is now 1.0"),
        ({"samples": 2}, "sampling.samples was 4, is now 2"),
        ({"questions": QUESTIONS[:2]}, "sums.num_questions was 3, is now 2"),
        ({"prompt": "Do {question}"}, "sums.prompt was '{question}', is now 'Do {question}'"),
        ({"about": ABOUT | {"model": {"weights": "v"}}}, "model.weights was 'w', is now 'v'"),
    ],
)
def test_other_settings_in_the_same_folder_are_an_error(run, change, message):
    run()
    with pytest.raises(RunFolderError) as error:
        run(**change)
    assert message in str(error.value)


class Measuring(FakeBackend):
    """Has no room for the questions of these numbers."""

    def __init__(self, *unfit, **options):
        super().__init__(add, **options)
        self.unfit, self.num_measured = unfit, 0

    def request(self, turn):
        self.num_measured += 1
        if int(turn.messages[-1]["content"].split()[-3]) in self.unfit:
            raise PromptTooLongError("the conversation is 99 tokens long and the context 50")


def test_a_question_that_leaves_no_room_is_wrong_and_the_others_are_asked(run, tmp_path):
    backend = Measuring(1)
    results = run(backend).benchmarks["sums"]
    assert len(backend.turns) == 8 and backend.num_measured == 3
    whole = run(name="whole").benchmarks["sums"]
    samples = read_records(tmp_path / "out" / "samples" / "sums.parquet", ScoredSample)
    others = read_records(tmp_path / "whole" / "samples" / "sums.parquet", ScoredSample)
    assert [s for s in samples if s.question_id != "q1"] == [
        s for s in others if s.question_id != "q1"
    ]
    unfit = [s for s in samples if s.question_id == "q1"]
    assert [(s.index, s.verdict, s.finish_reason) for s in unfit] == [
        (index, "incorrect", "no room") for index in range(4)
    ]
    right = sum(s.verdict == "correct" for s in others if s.question_id != "q1")
    assert results.pass_at_1 == pytest.approx(right / 12)
    assert (results.num_unfit, whole.num_unfit) == (1, 0)
    assert results.best_of_n["mean_logprob"].num_questions == 3
    assert results.truncation_rate == 0.0
    again = Measuring(1)
    assert run(again).benchmarks["sums"] == results and again.turns == []


def test_where_nothing_fits_nothing_is_asked(run):
    results = run(Measuring(0, 1, 2)).benchmarks["sums"]
    assert (results.pass_at_1, results.num_unfit, results.best_of_n) == (0.0, 3, {})


@pytest.mark.parametrize("most", [0, 5])
def test_a_killed_evaluation_with_such_a_question_goes_on(run, tmp_path, most):
    whole = run(Measuring(1), name="whole")
    with pytest.raises(KeyboardInterrupt):
        run(Measuring(1, most=most), name="killed")
    assert run(Measuring(1), name="killed") == whole
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_the_embedded_engine_says_what_leaves_no_room(base):
    from minireason.inference.resolve import open_local

    backend = open_local(str(base), max_length=32, max_batch=2)
    assert isinstance(backend, SamplingMeasuring)
    fits, too_long = (
        Turn([{"role": "user", "content": "7 " * count}], PARAMS) for count in (2, 40)
    )
    backend.request(fits)
    with pytest.raises(PromptTooLongError, match="the context 32"):
        backend.request(too_long)


def test_a_scorer_can_be_added_later_and_not_changed(run, tmp_path):
    def scorer(code, sign):
        return Scorer("m:f", code, lambda _, texts: [sign * int(text[10:-1]) for text in texts])

    assert "m:f" not in run().benchmarks["sums"].best_of_n
    backend = FakeBackend(add)
    low = run(backend, scorer=scorer("1", -1)).benchmarks["sums"]
    assert backend.turns == []
    assert low.best_of_n["m:f"].pass_at_1 == low.pass_at_k["4"].pass_at_1, "the lower is right"
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["score"] == {"name": "m:f", "code": "1"}
    with pytest.raises(RunFolderError, match=r"score\.code was '1', is now '2'"):
        run(scorer=scorer("2", 1))
    with pytest.raises(RunFolderError, match=r"score\.name was 'm:f', is now None"):
        run()


def test_another_device_is_an_error_while_samples_are_missing_and_none_afterwards(run):
    there = ABOUT | {"engine": {"device": "cuda", "batch": 64}}
    with pytest.raises(KeyboardInterrupt):
        run(FakeBackend(add, most=5))
    with pytest.raises(RunFolderError, match=r"engine was .*cpu.*, is now .*cuda"):
        run(about=there)
    run(about=ABOUT | {"engine": {"device": "cpu", "batch": 64}})
    run(about=there)


def test_a_second_benchmark_joins_the_first(run, tmp_path):
    run()
    results = run(label="more", questions=QUESTIONS[:1])
    assert list(results.benchmarks) == ["sums", "more"]
    assert read_results(tmp_path / "out") == results
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["benchmarks"]["sums"]["num_questions"] == 3
    assert settings["benchmarks"]["sums"]["made_with"]["versions"]["minireason"]


def test_two_benchmarks_of_one_name_are_refused(tmp_path):
    both = [Asked("sums", QUESTIONS, 3), Asked("sums", QUESTIONS[:1], 1)]
    sampling, backend = Sampling(1, PARAMS), FakeBackend(add)
    with pytest.raises(DataError, match="two benchmarks are called 'sums'"):
        evaluate(backend, both, sampling, tmp_path / "out", ABOUT, Progress(is_quiet=True))
    assert not backend.turns and not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_said(run, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(RunFolderError, match="use another --out"):
        run()


def test_thinking_that_begins_in_the_prompt_and_does_not_end_is_no_answer(run, tmp_path):
    texts = {0: "so \\boxed{1} or", 1: "so</think>\\boxed{2}", 2: "so</think>\\boxed{3}"}
    backend = FakeBackend(lambda text, _: texts[int(text.split()[-3])], is_inside=True)
    assert run(backend).benchmarks["sums"].pass_at_1 == pytest.approx(2 / 3)
    samples = read_records(tmp_path / "out" / "samples" / "sums.parquet", ScoredSample)
    assert (samples[0].extracted, samples[0].response) == ("", "<think>so \\boxed{1} or")


def test_cut_and_looping_responses_are_counted(run):
    def answer(text, seed):
        if "0 + 1" in text:
            return Response("and again and so on " * 40, "length", 50, 3, -1.0)
        return "\\boxed{2}"

    results = run(FakeBackend(answer)).benchmarks["sums"]
    assert results.truncation_rate == results.loop_rate == pytest.approx(1 / 3)


def test_of_a_withheld_benchmark_only_ids_and_letters_are_written(run, tmp_path):
    def answer(text, seed):
        return "A secret? B is the sky, so \\boxed{the sky}" if seed % 2 else "Answer: B"

    with pytest.raises(KeyboardInterrupt):
        run(FakeBackend(answer, most=3), [SECRET], is_withheld=True)
    everything = b"".join(files(tmp_path / "out").values())
    assert b'"rec-1"' in everything and b"secret" not in everything and b"sky" not in everything
    results = run(FakeBackend(answer), [SECRET], is_withheld=True)
    samples = read_records(tmp_path / "out" / "samples" / "sums.parquet", EvalSample)
    assert {(s.question, s.response, s.answer) for s in samples} == {("", "", "B")}
    assert {s.extracted for s in samples} <= {"B", ""}
    assert results.benchmarks["sums"].pass_at_1 == 1.0
    everything = b"".join(files(tmp_path / "out").values())
    assert b"secret" not in everything and b"sky" not in everything


def test_responses_of_a_withheld_benchmark_are_kept_where_the_user_asks(run, tmp_path):
    run(FakeBackend(lambda *_: "the sky, Answer: B"), [SECRET], is_withheld=True, keeps=True)
    samples = read_records(tmp_path / "out" / "samples" / "sums.parquet", EvalSample)
    assert {(s.question, s.response) for s in samples} == {("", "the sky, Answer: B")}
