"""Exported models behind the same doors as any model, without torch."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from minireason.errors import MissingError
from minireason.export.run import export_model
from minireason.export.settings import ExportSettings
from minireason.inference.backend import Turn
from minireason.inference.resolve import model_folder, open_backend, open_local
from minireason.model.source import TINY_FOLDER
from minireason.progress import Progress
from minireason.rollout.sampling import SamplingParams

WITHOUT_LLAMA = pytest.mark.skipif(
    find_spec("llama_cpp") is None, reason="llama_cpp is not installed"
)
FORMATS = ["onnx", pytest.param("gguf", marks=WITHOUT_LLAMA)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export the tiny model in float32, once a format."""
    made = {}

    def export(form):
        if form not in made:
            made[form] = tmp_path_factory.mktemp("exports") / f"tiny-{form}"
            export_model(ExportSettings(TINY_FOLDER, form, 32), made[form], Progress(is_quiet=True))
        return made[form]

    return export


def turns():
    for number in range(6):
        messages = [{"role": "user", "content": f"What is {number} + {number * 7}?"}]
        yield Turn(messages, SamplingParams(temperature=0.0, max_tokens=24))
        yield Turn(messages, SamplingParams(temperature=0.8, max_tokens=24, seed=number))
    yield Turn(messages, SamplingParams(max_tokens=24, seed=3), begun="The sum")


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_in_full_answers_as_its_original(exported, form):
    original = open_local("tiny", device="cpu", threads=1)
    export = open_backend(str(exported(form)), concurrency=3, threads=1)
    theirs, ours = original.respond(list(turns())), export.respond(list(turns()))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.text == other.text
        assert (mine.num_tokens, mine.num_prompt_tokens) == (
            other.num_tokens,
            other.num_prompt_tokens,
        )
        assert mine.logprob == pytest.approx(other.logprob, abs=1e-2)
    assert export.starts_thinking() == original.starts_thinking()
    assert export.max_length == original.max_length
    assert "".join(piece.text for piece in export.stream(next(turns()))) == ours[0].text


def test_an_export_is_a_model_folder_named_by_itself(exported):
    folder = exported("onnx")
    assert model_folder(str(folder)) == str(folder)
    assert open_local(str(folder)).name == "tiny-onnx"


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"dtype": "bfloat16"}, {"cache_gib": 1.0}])
def test_an_export_has_its_own_device_type_and_cache(exported, options):
    with pytest.raises(MissingError, match="leave out --device, --dtype and --cache-gib"):
        open_local(str(exported("onnx")), **options)


CHAT = "main(['chat', FOLDER, '--once', 'What is 2 + 3?', '--max-tokens', '8'])"
EVALUATE = "main(['evaluate', FOLDER, '--limit', '3', '--max-tokens', '8', '--out', OUT])"
SOLVE = "import minireason; minireason.load(FOLDER).solve('What is 2 + 3?', 2, max_tokens=8)"
SERVE = """
from fastapi.testclient import TestClient
from minireason.inference.resolve import open_local
from minireason.serve.api import Limits, build_app
from minireason.serve.asked import served_model

with TestClient(build_app(served_model(open_local(FOLDER)), Limits(), "")) as client:
    body = {"messages": [{"role": "user", "content": "2 + 3"}], "max_tokens": 8, "n": 3}
    answer = client.post("/v1/chat/completions", json=body, headers={"host": "localhost"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["choices"]) == 3
"""
SCRIPT = """
import sys
FOLDER, OUT = sys.argv[1:]
def main(arguments):
    from minireason import cli
    sys.argv = ["minireason", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, end.code
{body}
found = sorted({{"torch", "transformers"}} & sys.modules.keys())
assert not found, found
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "body", [CHAT, EVALUATE, SOLVE, SERVE], ids=["chat", "evaluate", "solve", "serve"]
)
def test_running_an_export_imports_neither_torch_nor_transformers(exported, tmp_path, form, body):
    command = [sys.executable, "-c", SCRIPT.format(body=body)]
    done = subprocess.run(
        [*command, str(exported(form)), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
