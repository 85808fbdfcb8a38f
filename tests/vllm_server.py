"""vLLM for the tests: a small model, a server of it, and one that only speaks like one."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import httpx
import torch

HAS_VLLM = find_spec("vllm") is not None
NO_VLLM = "vLLM is not installed"
STARTS_WITHIN_S = 300.0
MAX_LENGTH = 96
FOR_CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def small_model(seed):
    """A random model of Phi-4-mini's kind whose argmax is far from a tie, and its tokenizer."""
    from minireason.model.load import LanguageModel
    from minireason.model.tiny import build_model, build_tokenizer

    tokenizer = build_tokenizer(["one two three"])
    model = build_model(len(tokenizer), seed, num_layers=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return LanguageModel(model, tokenizer)


@contextmanager
def vllm_server(folder, *arguments):
    """The server of the model in a folder, with its routes for development: its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder]
    command += ["--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", MAX_LENGTH, "--max-num-seqs", 8, *arguments]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=output,
            stderr=output,
            env={**os.environ, **FOR_CPU, "VLLM_SERVER_DEV_MODE": "1"},
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not is_well(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def is_well(url):
    try:
        return httpx.get(url, timeout=5.0).is_success
    except httpx.TransportError:
        return False


class FakeVllm:
    """Answers (method, path) by `routes`, each a function of the body to (status, JSON).

    Keeps what it was asked, in order, as (path, body).
    """

    def __init__(self, routes):
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                server.asked.append((self.path, body))
                route = routes.get((self.command, self.path.partition("?")[0]))
                status, reply = route(body) if route else (404, {"detail": "Not Found"})
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
