"""The teacher against servers that others wrote; skipped where they are not installed.

`transformers serve` (extra `serving`) is looked for on the PATH, then beside this Python;
`llama-server`, which serves the file that MINIREASON_GGUF names, on the PATH.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import minireason
from minireason.endpoint.server import Endpoint
from minireason.problems.procedural import generate_questions
from minireason.records import Rollout, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.journalled import read_usage
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams

pytestmark = pytest.mark.slow

TINY = Path(minireason.__file__).parent / "model" / "tiny"
STARTS_WITHIN_S = 120.0


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a server and wait until it is well: its URL. Skips where its packages are missing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    processes = []

    def begin(*command):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = tmp_path / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*map(str, command), "--port", str(port)], stdout=output, stderr=output
            )
        processes.append(process)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not is_well(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None and "pip install" in log.read_text():
                pytest.skip(f"{command[0]} lacks packages: {log.read_text().strip()[-200:]}")
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        return f"http://127.0.0.1:{port}/v1"

    yield begin
    for process in processes:
        process.terminate()
        process.wait(30)


def is_well(url):
    try:
        return httpx.get(url, timeout=5.0).is_success
    except httpx.TransportError:
        return False


def sample(url, model, folder, max_tokens):
    """Four questions, two samples each, and what they used."""
    teacher = OpenAITeacher(Endpoint(url, model, concurrency=4))
    questions = generate_questions(4, 0, "eval")
    params = SamplingParams(max_tokens=max_tokens, seed=1)
    generate_rollouts(teacher, questions, 2, params, folder, shard_size=3)
    return read_records(folder, Rollout), read_usage(folder)


def check(url, model, folder):
    rollouts, usage = sample(url, model, folder / "long", 200)
    assert len(rollouts) == 8 and all(r.response and r.num_tokens for r in rollouts)
    assert usage.completion_tokens == sum(r.num_tokens for r in rollouts)
    assert usage.requests == 8 and usage.prompt_tokens > 8
    again, used = sample("http://127.0.0.1:9/v1", model, folder / "long", 200)
    assert (again, used) == (rollouts, usage)
    cut, _ = sample(url, model, folder / "cut", 3)
    assert {(r.finish_reason, r.num_tokens) for r in cut} == {("length", 3)}


def test_transformers_serve(start, tmp_path, monkeypatch):
    command = shutil.which("transformers") or shutil.which(
        "transformers", path=str(Path(sys.executable).parent)
    )
    if not command:
        pytest.skip("there is no `transformers` command")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check(start(command, "serve", TINY, "--device", "cpu"), str(TINY), tmp_path)


def test_llama_server(start, tmp_path):
    if not (command := shutil.which("llama-server")) or not os.environ.get("MINIREASON_GGUF"):
        pytest.skip("needs llama.cpp's `llama-server` on the PATH and a model in MINIREASON_GGUF")
    check(start(command, "-m", os.environ["MINIREASON_GGUF"]), "any", tmp_path)
