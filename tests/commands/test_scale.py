"""The command with a real, tiny model."""

import json
import os
import signal
import time

import pytest
from chat_server import completion

from minireason.commands.scale import _methods, scale
from minireason.errors import SamplingError
from minireason.evaluate.benchmarks import Asked

TIMEOUT_S = 120
OPTIONS = ("--limit", "2", "--max-tokens", "12", "--device", "cpu", "--threads", "1")
SMALL = (*OPTIONS, "--methods", "majority,beam,budget,refine", "--sizes", "1,2", "--unit", "6")


def test_it_measures_writes_the_page_and_goes_on_for_nothing(command, tmp_path):
    code, out, err = command("scale", "tiny", *SMALL, "--out", tmp_path)
    assert code == 0, err
    content = json.loads((tmp_path / "scale.json").read_text())
    assert [(point["method"], point["size"]) for point in content["points"]] == [
        (name, size) for name in ("majority", "beam", "budget", "refine") for size in (1, 2)
    ]
    assert all(point["num_tokens"] > 0 for point in content["points"])
    page = (tmp_path / "scale.html").read_text()
    assert page.count("<svg") == 5
    assert "scale.html" in out
    journal = (tmp_path / "responses.jsonl").read_bytes()
    assert command("scale", "tiny", *SMALL, "--out", tmp_path)[0] == 0
    assert (tmp_path / "responses.jsonl").read_bytes() == journal
    assert json.loads((tmp_path / "scale.json").read_text()) == content


def test_the_same_seed_gives_the_same_result(command, tmp_path):
    for name in ("one", "two"):
        arguments = (*OPTIONS, "--methods", "majority", "--sizes", "2", "--batch", "3")
        assert command("scale", "tiny", *arguments, "--out", tmp_path / name)[0] == 0
    one, two = (json.loads((tmp_path / name / "scale.json").read_text()) for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "vote"), "'vote' was given"),
        (("--sizes", "1,two"), "--sizes is '1,two'"),
        (("--benchmark", "no-such"), "'no-such' is unknown"),
        (("--benchmark", "aime2025", "--data", "nowhere"), "aime2025"),
        (("--score", "median"), "the score is 'median'; it is mean, sum"),
        (("--temperature", "9"), "temperature is 9.0"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, arguments, message):
    code, _, err = command("scale", "tiny", *OPTIONS, *arguments, "--out", tmp_path)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert message in errors[0]


@pytest.mark.parametrize(("methods", "batch"), [("majority,refine", 2), ("majority,beam", 8)])
def test_the_batch_is_larger_than_asked_for_beams_alone(command, monkeypatch, methods, batch):
    def opened(name, *, concurrency, **_):
        raise SamplingError(f"a batch of {concurrency}")

    monkeypatch.setattr("minireason.inference.resolve.open_backend", opened)
    _, _, err = command("scale", "tiny", "--methods", methods, "--sizes", "1,8", "--batch", "2")
    assert f"a batch of {batch}" in err


def test_a_dtype_that_would_be_float32_is_refused(command):
    code, _, err = command("scale", "tiny", "--dtype", "float16")
    assert code == 2 and "'float16'" in err


def test_changed_settings_name_the_old_and_the_new_value(command, tmp_path):
    small = (*OPTIONS, "--methods", "majority", "--sizes", "1", "--out", tmp_path)
    assert command("scale", "tiny", *small)[0] == 0
    code, _, err = command("scale", "tiny", *small, "--seed", "3")
    assert code == 2
    assert "seed was 0, is now 3" in err


def test_a_model_on_a_server_is_measured_too(command, serve, tmp_path):
    def answer(request, attempt):
        time.sleep(0.01)  # so that all that are asked at once are there at once
        return completion("\\boxed{1}", num_tokens=5)

    server = serve(answer)
    arguments = ("--server", server.url, "--methods", "majority,refine", "--sizes", "1,3")
    arguments += ("--batch", "1")
    code, _, err = command("scale", "m", "--limit", "4", *arguments, "--out", tmp_path)
    assert code == 0, err
    content = json.loads((tmp_path / "scale.json").read_text())
    assert [point["num_tokens"] for point in content["points"]] == [5, 15, 5, 15]
    assert [point["num_prompt_tokens"] for point in content["points"]] == [3, 9, 3, 9]
    assert len(server.requests) == 4 * (3 + 2) and server.most_at_once == 1


def test_a_server_that_cannot_go_on_is_one_line(command, serve, tmp_path):
    server = serve(lambda request, attempt: completion("\\boxed{1}"))
    arguments = ("--server", server.url, "--methods", "budget", "--limit", "1")
    code, _, err = command("scale", "m", *arguments, "--out", tmp_path)
    assert code == 2
    assert "does not go on with a turn that is begun; budget needs that" in err.splitlines()[-1]


MANY = ("--limit", "8", "--max-tokens", "40", "--device", "cpu", "--threads", "1")
MANY += ("--methods", "majority,refine", "--sizes", "1,6", "--batch", "4")


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """What a measurement gives that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    process = start("scale", "tiny", *MANY, "--out", folder, name="whole")
    process.join(TIMEOUT_S)
    return json.loads((folder / "scale.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_measurement_that_is_stopped_goes_on_to_the_same_end(start, tmp_path, whole, ending):
    journal = tmp_path / "responses.jsonl"
    process = start("scale", "tiny", *MANY, "--out", tmp_path)
    deadline = time.monotonic() + TIMEOUT_S
    while process.is_alive() and not (journal.is_file() and journal.stat().st_size > 4_000):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, ending)
    process.join(TIMEOUT_S)
    codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 0}
    assert process.exitcode == codes[ending]
    assert "Traceback" not in process.output.read_text()
    assert not (tmp_path / "scale.json").exists()
    again = start("scale", "tiny", *MANY, "--out", tmp_path, name="again")
    again.join(TIMEOUT_S)
    assert again.exitcode == 0, again.output.read_text()
    assert json.loads((tmp_path / "scale.json").read_text()) == whole


def test_a_benchmark_that_is_withheld_is_not_journalled(monkeypatch, tmp_path):
    withheld = Asked("gpqa_diamond", [], 198, is_withheld=True)
    monkeypatch.setattr("minireason.evaluate.benchmarks.open_benchmark", lambda *_, **__: withheld)
    with pytest.raises(SamplingError, match="gpqa_diamond is never written down"):
        scale("tiny", benchmark="gpqa_diamond", out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("named", "model", "server", "found"),
    [
        (" budget, beam,", "tiny", "http://localhost", ("budget", "beam")),
        ("", "tiny", "", ("majority", "best_of_n", "beam", "budget", "refine")),
        ("", "tiny", "http://localhost", ("majority", "best_of_n", "budget", "refine")),
        ("", "an export", "", ("majority", "best_of_n", "budget", "refine")),
    ],
)
def test_beams_are_searched_unasked_only_where_they_can_be(
    tmp_path, monkeypatch, named, model, server, found
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "an export"
    folder.mkdir()
    made = {"format": "gguf", "bits": 4, "target": "cpu", "model": "m", "context": 9}
    (folder / "export.json").write_text(json.dumps(made | {"source": {}, "quantization": {}}))
    assert _methods(named, model, server) == found
