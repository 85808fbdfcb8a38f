"""No times are asserted, only that they are there and of what."""

import json
import subprocess
import sys

import pytest

from minireason.edge.runtime import available_cpus
from minireason.export import timed
from minireason.export.agreement import BrokenError
from minireason.export.footprint import measure_footprint


@pytest.fixture(scope="module")
def of_base(base):
    return measure_footprint(
        base, "transformers", range(3, 15), num_prompt=8, num_rounds=2, threads=1
    )


def test_a_model_is_measured_in_a_process_of_its_own(of_base, base):
    assert of_base.load_s > 0 and of_base.first_token_s > 0 and of_base.tokens_per_s > 0
    assert (of_base.num_prompt, of_base.num_timed, of_base.num_rounds) == (8, 4, 2)
    assert of_base.threads == 1
    assert of_base.weight_bytes == sum(p.stat().st_size for p in base.glob("*.safetensors"))
    assert of_base.folder_bytes == sum(p.stat().st_size for p in base.iterdir() if p.is_file())


def test_the_memory_is_that_of_the_process_and_not_of_its_parent(of_base):
    held = bytearray(600 << 20)  # the parent's own peak is beyond what the process needs
    held[::4096] = b"x" * len(held[::4096])
    code = "from minireason.export.timed import peak_bytes; print(peak_bytes())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert 4 << 20 < int(said.stdout) < 400 << 20
    assert of_base.peak_bytes > 100 << 20  # torch alone


def test_a_model_that_does_not_load_is_told_by_its_last_words(tmp_path):
    with pytest.raises(BrokenError, match=r"process of its own: .* has no export\.json"):
        measure_footprint(tmp_path, "runtime", [1, 2], num_prompt=1, threads=1)


def test_without_a_number_all_cpus_that_are_allowed_are_used():
    assert available_cpus() >= 1


def test_what_is_timed_is_the_given_tokens_after_a_round_that_does_not_count(tmp_path, monkeypatch):
    heard = []

    def begin(ids, length):
        assert length == 4  # a runtime may set room aside for all of it
        heard.append(list(ids))

    step = heard.append
    monkeypatch.setitem(timed.OPENERS, "runtime", lambda folder, threads: (begin, step))
    task = {
        "folder": "x",
        "runs": "runtime",
        "prompt_ids": [1, 2],
        "token_ids": [3, 4],
        "num_rounds": 2,
        "threads": 1,
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    timed.main(str(tmp_path / "task.json"), str(tmp_path / "found.json"))
    assert heard == [[1, 2], 3, 4] * 3
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"load_s", "first_token_s", "tokens_per_s", "peak_bytes"}


def test_exports_are_timed_without_torch(tmp_path):
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from minireason.edge import runtime\n"
        "from minireason.export import timed\n"
        "class Zeros:\n"
        "    max_length = 99999\n"
        "    def end(self, place): pass\n"
        "    def begin(self, place, ids, most): return np.eye(5)[len(ids) if most == 9 else 0]\n"
        "    def step(self, tokens): return {place: np.eye(5)[t] for place, t in tokens.items()}\n"
        "runtime.open_runtime = lambda folder, threads: Zeros()\n"
        "begin, step = timed.open_exported('x', 1)\n"
        "assert (begin([1, 1], 9), step(3), begin([1], 9)) == (2, 3, 1)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_transformers_takes_a_prompt_and_then_a_token_at_a_time(base, plain):
    import torch

    begin, step = timed.open_transformers(base, 1)
    ids = [5, 6, 7, 8, 9]
    for _ in range(2):  # the second round forgets the first
        found = [begin(ids[:3], 5), *(step(token) for token in ids[3:])]
        with torch.no_grad():
            logits = plain(input_ids=torch.tensor([ids])).logits[0]
        assert found == logits.argmax(-1)[2:].tolist()
    torch.set_grad_enabled(True)
