"""llama.cpp beside transformers: the same logits, sequence by sequence and all together."""

import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")

import gguf_models
from runtimes import reference, some_ids

from minireason.edge.llama import LlamaRuntime, gguf_file
from minireason.edge.llama_library import library
from minireason.errors import MissingError, SamplingError
from minireason.export.gguf import export_gguf
from minireason.export.settings import ExportSettings


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(model of transformers, folder with its F32 GGUF) of a family, made once."""
    made = {}

    def export(family):
        if family not in made:
            source = tmp_path_factory.mktemp(family)
            model = gguf_models.save(source, family)
            export_gguf(ExportSettings(source, "gguf", bits=32), source / "gguf")
            made[family] = model, source / "gguf"
        return made[family]

    return export


@pytest.fixture
def phi3(exported):
    model, folder = exported("phi3")
    runtime = LlamaRuntime(folder, max_batch=3, max_length=400, threads=1)
    yield model, runtime
    runtime.close()


@pytest.mark.parametrize("family", gguf_models.FAMILIES)
def test_every_logit_is_that_of_transformers(exported, family):
    model, folder = exported(family)
    runtime = LlamaRuntime(folder, 1, 512, 1)
    ids = some_ids(300)
    if family == "longrope":  # transformers takes the long factors beyond 64 positions only
        ids_short = ids[:40]
        pinned = runtime.logits(ids)[:40]
        assert np.abs(runtime.logits(ids_short) - pinned).max() < 1e-3
        assert np.abs(reference(model, ids_short) - pinned).max() > 0.1
    expected = reference(model, ids)
    assert expected.std() > 1
    assert np.abs(runtime.logits(ids) - expected).max() < 1e-3
    runtime.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_runtime_frees_its_contexts_and_its_model_once(exported, monkeypatch, is_closed):
    freed = []

    def noting(name):
        free = getattr(library, name)

        def note(pointer):
            freed.append(name)
            free(pointer)

        monkeypatch.setattr(library, name, note)

    _, folder = exported("phi3")
    noting("llama_free")
    noting("llama_model_free")
    runtime = LlamaRuntime(folder, max_batch=2, max_length=400, threads=1)
    runtime.begin(0, some_ids(300), 400)  # more than the room there is at first
    runtime.logits(some_ids(5))
    if is_closed:
        runtime.close()
        runtime.close()
    del runtime
    assert freed == ["llama_free"] * 3 + ["llama_model_free"]


def test_a_file_that_is_cut_off_is_said_to_be(exported, tmp_path):
    whole = gguf_file(exported("phi3")[1]).read_bytes()
    (tmp_path / "model.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MissingError, match=r"not within the file bounds.*; export it again"):
        LlamaRuntime(tmp_path, 1, 256, 1)


def test_greedy_tokens_are_those_of_transformers(phi3):
    model, runtime = phi3
    prompt = some_ids(20)
    with torch.no_grad():
        expected = model.generate(
            torch.tensor([prompt]), do_sample=False, min_new_tokens=150, max_new_tokens=150
        )[0, 20:].tolist()
    ids, logits = [], runtime.begin(0, prompt, 400)
    for _ in range(150):
        logits[[0, 4]] = -np.inf  # as min_new_tokens
        ids.append(int(logits.argmax()))
        logits = runtime.step({0: ids[-1]})[0]
    assert ids == expected and len(set(ids)) > 20


def test_sequences_in_one_pass_do_not_see_each_other(phi3):
    model, runtime = phi3
    texts = {0: some_ids(30, 1), 1: some_ids(9, 2), 2: some_ids(50, 3)}
    prompts = {place: ids[:5] for place, ids in texts.items()}
    got = {place: [runtime.begin(place, ids, 400)] for place, ids in prompts.items()}
    for position in range(5, 50):
        live = {place: ids[position] for place, ids in texts.items() if position < len(ids)}
        for place, logits in runtime.step(live).items():
            got[place].append(logits)
        for place in [place for place in live if position == len(texts[place]) - 1]:
            runtime.end(place)  # the others go on in other slots
    for place, ids in texts.items():
        assert np.abs(np.stack(got[place]) - reference(model, ids)[4:]).max() < 1e-3


def test_a_place_can_be_taken_again_while_others_go_on(phi3):
    model, runtime = phi3
    first, second, third = (some_ids(12, seed) for seed in (4, 5, 6))
    runtime.begin(0, first[:11], 400)
    runtime.begin(1, second[:11], 400)
    runtime.end(0)
    runtime.begin(0, third[:11], 400)
    logits = runtime.step({0: third[11], 1: second[11]})
    assert np.abs(logits[0] - reference(model, third)[-1]).max() < 1e-3
    assert np.abs(logits[1] - reference(model, second)[-1]).max() < 1e-3


def test_sequences_outgrow_the_room_they_began_with(phi3):
    """A slot has 256 tokens to begin with."""
    model, runtime = phi3
    long, short = some_ids(300, 7), some_ids(260, 8)
    runtime.begin(0, long[:250], 400)
    runtime.begin(1, short[:240], 400)
    for position in range(250, 270):
        logits = runtime.step({0: long[position], 1: short[position - 10]})
    assert np.abs(logits[0] - reference(model, long[:270])[-1]).max() < 1e-3
    assert np.abs(logits[1] - reference(model, short)[-1]).max() < 1e-3


def test_scoring_leaves_the_live_sequences_alone(phi3):
    model, runtime = phi3
    ids = some_ids(20)
    for place in range(3):
        runtime.begin(place, ids[:19], 400)
    other = some_ids(270, 9)
    assert np.abs(runtime.logits(other) - reference(model, other)).max() < 1e-3
    assert np.abs(runtime.step({2: ids[19]})[2] - reference(model, ids)[-1]).max() < 1e-3


def test_logits_are_copies(phi3):
    _, runtime = phi3
    first = runtime.begin(0, [5, 6], 400)
    before = first.copy()
    runtime.step({0: 7})
    assert first.dtype == np.float32 and first.shape == (800,) and (first == before).all()


def test_what_does_not_fit_is_refused_and_changes_nothing(phi3):
    _, runtime = phi3
    with pytest.raises(SamplingError, match="401 ids given; the sequence has 1 to 400"):
        runtime.begin(0, some_ids(401), 400)
    with pytest.raises(SamplingError, match="0 ids"):
        runtime.logits([])
    with pytest.raises(SamplingError, match="could not take"):
        runtime.begin(0, [800], 400)
    with pytest.raises(SamplingError, match="place 1 has no sequence"):
        runtime.step({1: 5})
    runtime.begin(0, some_ids(400), 400)
    with pytest.raises(SamplingError, match="place 0 of 3 is taken"):
        runtime.begin(0, [5], 400)
    with pytest.raises(SamplingError, match="the sequence of place 0 has its 400 ids"):
        runtime.step({0: 5})
    with pytest.raises(SamplingError, match="11 ids given; the sequence has 1 to 10"):
        runtime.begin(1, some_ids(11), 10)
    runtime.end(0)
    runtime.end(0)  # a free place stays free
    assert runtime.begin(0, [5], 400).shape == (800,)


def test_a_folder_holds_one_file(tmp_path):
    with pytest.raises(MissingError, match=r"one \.gguf file and holds none"):
        gguf_file(tmp_path)
    (tmp_path / "model-Q8_0.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(MissingError, match="cannot load"):
        LlamaRuntime(tmp_path, 1, 64, 1)
    (tmp_path / "other.gguf").touch()
    with pytest.raises(MissingError, match=r"model-Q8_0\.gguf, other\.gguf"):
        gguf_file(tmp_path)


def test_running_imports_no_torch_and_prints_nothing(exported):
    _, folder = exported("phi3")
    code = (
        "import sys, pathlib\n"
        "from minireason.edge.llama import LlamaRuntime\n"
        f"runtime = LlamaRuntime(pathlib.Path({str(folder)!r}), 2, 64, 1)\n"
        "runtime.begin(0, [5, 6], 400); runtime.step({0: 7}); runtime.close()\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
