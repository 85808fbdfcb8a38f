"""The tiny model behind a real server on a port of this machine, for all tests of the folder."""

import contextlib
import threading
import time

import httpx
import openai
import pytest

NAME = "tiny-model"


class Running:
    """A server in a thread of this process."""

    def __init__(self, served, limits, key="", grace_s=5.0):
        from minireason.serve.api import build_app
        from minireason.serve.server import GracefulServer, address, bind

        self.app = build_app(served, limits, key)
        self.model = self.app.state.service.model
        self.server = GracefulServer(self.app, grace_s)
        bound = bind("127.0.0.1", 0)
        self.url = address(bound)
        self.thread = threading.Thread(target=self.server.run, args=([bound],), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def post(self, path="/v1/chat/completions", **body):
        return httpx.post(self.url + path, json=body, timeout=60)

    def ends(self):
        """Ask it to end, as a signal does, and wait."""
        self.server.handle_exit(15, None)
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def backend():
    from minireason.inference.resolve import open_local

    return open_local("tiny", device="cpu", max_batch=8, max_length=512, threads=1)


@pytest.fixture(scope="session")
def served(backend):
    from minireason.serve.asked import served_model

    return served_model(backend, NAME)


@pytest.fixture(scope="session")
def running(served):
    from minireason.serve.api import Limits

    server = Running(served, Limits(queue=64, body_bytes=20_000))
    yield server
    server.ends()


@pytest.fixture(scope="session")
def client(running):
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def start(served):
    """Start a server with limits of its own: `start(queue=0, key="...", served=...)`."""
    from minireason.serve.api import Limits

    with contextlib.ExitStack() as servers:

        def begin(served=served, key="", grace_s=5.0, **limits):
            server = Running(served, Limits(**limits), key, grace_s)
            servers.callback(server.ends)
            return server

        yield begin
