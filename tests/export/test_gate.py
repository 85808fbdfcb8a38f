import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from minireason.edge.engine import EdgeEngine
from minireason.edge.manifest import Manifest, read_manifest
from minireason.errors import DataError, MissingError, RunFolderError
from minireason.export import asking
from minireason.export import gate as gate_module
from minireason.export.agreement import BrokenError
from minireason.export.asking import Kept
from minireason.export.gate import (
    WORK,
    compare_export,
    gate_export,
    measure_reference,
    run_gate,
    store_gate,
    stored_gate,
    why_not_run,
)
from minireason.export.gate_result import Gate
from minireason.journal import Journal
from minireason.model.chat import Chat
from minireason.problems.benchmarks import load_benchmark
from minireason.progress import Progress
from minireason.records import Question, write_records
from minireason.rollout.engine import Engine
from minireason.runfolder import lock, write_json

QUIET = Progress(is_quiet=True)
QUESTIONS = load_benchmark("embedded-choice")[:2]


@pytest.fixture
def gate(base, exported, settings, runs_as):
    def run(change=lambda logits: logits, asked=settings, **how):
        runs_as(change, **how)
        return run_gate(base, exported, asked, QUIET)

    return run


def test_the_same_model_loses_nothing(gate):
    found = gate()
    assert found.is_passed and not found.failures and not found.advice
    assert found.agreement.num_identical == found.agreement.num_responses == 8
    assert found.agreement.before_difference.value == 1
    assert found.following.num_agreed == found.following.num_tokens
    assert found.following.distance.value < 1e-5 and found.following.kl.value < 1e-8
    assert found.overall.loss.value == found.benchmarks["embedded-choice"].loss.value == 0
    assert found.original_responses == found.exported_responses


def test_every_token_of_the_original_is_followed(gate):
    found = gate()
    mean = found.original_responses.mean_tokens
    assert found.following.num_tokens == round(8 * mean)


def test_a_gate_survives_json(gate):
    found = gate()
    assert Gate.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))) == found


def test_a_stored_gate_is_that_of_the_same_settings(gate, exported, settings, changed):
    assert stored_gate(exported, settings) is None
    found = gate()
    store_gate(exported, found)
    assert stored_gate(exported, settings) == found
    assert stored_gate(exported, changed(most_loss=1.0)) is None
    store_gate(exported, found.model_copy(update={"not_run": "no such device"}))
    assert stored_gate(exported, settings) is None


def test_noise_shows_in_the_distance_before_it_shows_in_the_tokens(gate, noisy):
    found = gate(noisy(0.01))
    assert 1e-4 < found.following.distance.value < 0.05
    assert 0 < found.following.kl.value < 1e-3
    assert found.following.argmax.value > 0.9


def test_garbage_fails_and_is_asked_nothing_more(gate, noisy):
    found = gate(noisy(100.0))
    assert found.failures[0].startswith("garbage: ")
    assert found.agreement is None and found.overall is None
    assert "--bits 32" in found.advice[0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_logits_that_are_not_finite_fail(gate, wrong):
    def change(logits):
        logits[-1, 3] = wrong
        return logits

    found = gate(change)
    assert "logits of the export are not finite" in found.failures[0]
    assert found.following is None and found.exported_footprint is not None


def test_an_export_that_does_not_load_fails(gate, exported, footprint):
    def cost(folder):
        if folder == exported:
            raise BrokenError("no such file: model.onnx.data")
        return footprint

    found = gate(cost=cost)
    assert found.failures == ("no such file: model.onnx.data",)
    assert found.exported_footprint is None and found.original_footprint is not None
    assert not found.is_passed


def test_a_loss_beyond_the_limit_fails_with_what_to_try(gate, changed):
    found = gate(asked=changed(most_loss=-1.0))
    assert found.failures[0].startswith("accuracy: loss 0.0 points [")
    assert found.advice[0].startswith("--calibrate qat")


def test_another_chat_template_fails(gate, tokenizer):
    class Curt(Chat):
        def prompt_ids(self, messages):
            return super().prompt_ids(messages)[1:]

    found = gate(chat=Curt(tokenizer))
    assert "makes other token ids of 8 of 8 prompts" in " ".join(found.failures)


def test_samples_are_judged_where_they_are_asked_for(gate, changed):
    found = gate(asked=changed(num_samples=3, num_questions=4))
    assert (found.overall.num_questions, found.overall.num_samples) == (4, 3)
    assert found.original_responses.num_responses == 12
    assert found.agreement.num_responses == 4
    assert found.overall.loss.value == 0  # the same seeds


def test_a_question_that_leaves_no_room_is_wrong_for_both(gate, changed, tmp_path):
    short, long = QUESTIONS
    path = tmp_path / "mixed.parquet"
    write_records(path, [short, replace(long, text="one more word " * 2000)], Question)
    found = gate(asked=changed(benchmarks=(str(path),), num_questions=0))
    assert found.is_passed and found.overall.num_questions == 2
    assert found.original_responses.num_responses == 2 and found.agreement.num_responses == 1
    write_records(path, [replace(long, text="one more word " * 2000)], Question)
    with pytest.raises(DataError, match="no question fits the model's 1024 tokens"):
        gate(asked=changed(benchmarks=(str(path),), num_questions=0))


def test_one_reference_serves_several_exports(base, exported, settings, runs_as, noisy):
    runs_as()
    reference = measure_reference(base, settings, QUIET)
    first = compare_export(reference, exported, QUIET)
    runs_as(noisy(0.5))
    second = compare_export(reference, exported, QUIET)
    assert first.original_responses == second.original_responses
    assert first.following.kl.value < second.following.kl.value


def test_an_export_of_another_model_is_refused_before_anything_is_asked(
    base, exported, settings, runs_as, asked_of
):
    manifest = read_manifest(exported)
    other = manifest.model_copy(update={"source": {"model": "x", "weights": "0" * 64}})
    write_json(exported / "export.json", other.model_dump(mode="json"))
    runs_as()
    with pytest.raises(DataError, match="made from runs/base with other weights"):
        gate_export(base, exported, settings, QUIET)
    assert asked_of == [] and not (exported / WORK).exists()


def test_a_target_that_is_not_here_is_not_run_and_does_not_fail(base, exported, settings):
    manifest = read_manifest(exported).model_copy(update={"target": "npu"})
    write_json(exported / "export.json", manifest.model_dump(mode="json"))
    found = gate_export(base, exported, settings, QUIET)
    assert "for npu, which is not here" in found.not_run
    assert not found.failures and not found.is_passed
    assert "It has not been run on npu" in (exported / "README.md").read_text()


def test_what_was_measured_stays_where_it_cannot_be_measured(
    base, exported, settings, runs_as, monkeypatch
):
    runs_as()
    measured = gate_export(base, exported, settings, QUIET)
    monkeypatch.setattr("minireason.export.gate.why_not_run", lambda manifest: "not here")
    assert gate_export(base, exported, settings, QUIET).not_run == "not here"
    assert Gate.model_validate(read_manifest(exported).gate) == measured


def test_a_package_that_is_not_installed_is_named(exported, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'minireason[onnx]'" in why_not_run(read_manifest(exported))


def test_the_gate_is_stored_in_the_manifest_and_the_card(base, exported, settings, runs_as):
    runs_as()
    found = gate_export(base, exported, settings, QUIET)
    assert Gate.model_validate(read_manifest(exported).gate) == found
    assert read_manifest(exported).quantization["method"] == "rtn"
    assert "**The gate passed.**" in (exported / "README.md").read_text()


@pytest.mark.parametrize(("bits", "said"), [(8, "pip install 'minireason[torchao]'"), (16, "")])
def test_of_exports_for_transformers_only_rounded_ones_need_a_package(monkeypatch, bits, said):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    manifest = Manifest(
        format="hf",
        bits=bits,
        target="cpu",
        model="m",
        source={},
        quantization={},
        context=9,
    )
    found = why_not_run(manifest)
    assert found.endswith(said) and bool(found) == bool(said)


@pytest.fixture
def asked_of(monkeypatch):
    """How many responses each engine was asked for, in order."""
    asked = []
    for engine in (Engine, EdgeEngine):
        generate = engine.generate

        def count(self, requests, on_finish=None, generate=generate):
            asked.append((type(self).__name__, len(requests)))
            return generate(self, requests, on_finish)

        monkeypatch.setattr(engine, "generate", count)
    return asked


@pytest.fixture
def stop_after(monkeypatch):
    """Ctrl-C when so many responses have been kept."""

    def stop(count):
        left = itertools.count(count - 1, -1)
        append = Journal.append

        def keep(journal, entry):
            append(journal, entry)
            if next(left) == 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(Journal, "append", keep)

    return stop


def kept_in(folder):
    """The journals by how many responses they hold."""
    return {len(path.read_bytes().splitlines()) - 1: path for path in folder.glob("*.jsonl")}


def test_a_gate_that_was_interrupted_goes_on_where_it_was(
    base, exported, changed, runs_as, asked_of, stop_after
):
    asked = changed(num_samples=2)
    runs_as()
    whole = run_gate(base, exported, asked, QUIET)
    asked_of.clear()
    stop_after(8 + 16 + 3)  # of the original once and sampled, and of the export
    with pytest.raises(KeyboardInterrupt):
        gate_export(base, exported, asked, QUIET)
    assert asked_of == [("Engine", 8), ("Engine", 16), ("EdgeEngine", 8)]
    kept = kept_in(exported / WORK)
    assert sorted(kept) == [3, 8, 16]
    with kept[8].open("ab") as torn:
        torn.write(b'{"benchmark": "embedded-cho')
    asked_of.clear()
    found = gate_export(base, exported, asked, QUIET)
    assert asked_of == [("EdgeEngine", 5), ("EdgeEngine", 16)]
    assert found == whole
    assert not (exported / WORK).exists()


def test_an_interrupted_gate_outlives_a_shorter_one_and_one_that_cannot_run(
    base, exported, changed, runs_as, asked_of, stop_after, monkeypatch
):
    runs_as()
    stop_after(8 + 3)
    with pytest.raises(KeyboardInterrupt):
        gate_export(base, exported, changed(), QUIET)
    gate_export(base, exported, changed(num_questions=2), QUIET)
    with monkeypatch.context() as changes:
        changes.setattr(gate_module, "why_not_run", lambda manifest: "not here")
        gate_export(base, exported, changed(), QUIET)
    assert sorted(kept_in(exported / WORK)) == [3, 8]
    asked_of.clear()
    gate_export(base, exported, changed(), QUIET)
    assert asked_of == [("EdgeEngine", 5)]
    assert not (exported / WORK).exists()


def test_responses_of_another_gate_another_export_or_other_packages_are_not_taken(
    base, exported, changed, runs_as, asked_of, tmp_path
):
    def run(versions=("1",), **settings):
        kept = Kept(tmp_path, {"versions": versions})
        run_gate(base, exported, changed(**settings), QUIET, kept)

    def pair(count):
        return [("Engine", count), ("EdgeEngine", count)]

    runs_as()
    run()
    run()
    assert asked_of == pair(8)
    run(max_tokens=11)
    run(num_questions=7)
    run(num_samples=1)
    run(versions=("2",))
    assert asked_of[2:] == [*pair(8), *pair(7), *pair(8), *pair(8)]
    manifest = read_manifest(exported).model_copy(update={"files": {"model.onnx": "0" * 64}})
    write_json(exported / "export.json", manifest.model_dump(mode="json"))
    run()
    assert asked_of[10:] == [("EdgeEngine", 8)]


def test_responses_to_withheld_questions_are_never_on_disk(
    base, exported, settings, runs_as, monkeypatch, tmp_path
):
    opened = asking.open_questions
    monkeypatch.setattr(
        gate_module,
        "open_questions",
        lambda settings: [replace(one, is_withheld=True) for one in opened(settings)],
    )
    runs_as()
    run_gate(base, exported, settings, QUIET, Kept(tmp_path / "kept", {}))
    assert not (tmp_path / "kept").exists()


def test_two_gates_of_one_export_at_once_are_refused(base, exported, settings):
    with (
        lock(exported / WORK),
        pytest.raises(RunFolderError, match=r"in use by .* or use a copy of the export"),
    ):
        gate_export(base, exported, settings, QUIET)


def test_a_folder_that_is_no_export_is_left_as_it_is(base, settings, tmp_path):
    with pytest.raises(MissingError, match=r"has no export\.json"):
        gate_export(base, tmp_path / "nothing", settings, QUIET)
    assert not (tmp_path / "nothing").exists()


def test_two_benchmarks_of_one_name_are_refused_before_anything_is_asked(
    base, exported, changed, asked_of, runs_as, tmp_path
):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(str(tmp_path / folder / "mine.parquet"))
        write_records(tmp_path / folder / "mine.parquet", QUESTIONS, Question)
    runs_as()
    with pytest.raises(DataError, match="two benchmarks are called 'mine'"):
        run_gate(base, exported, changed(benchmarks=tuple(paths)), QUIET)
    assert asked_of == []
