"""What a vLLM server is asked, and what becomes of its faults, with one that only speaks like it.

What a real one samples is in test_samplers.py.
"""

import pytest
from safetensors.torch import load_file
from vllm_server import FakeVllm, small_model

from minireason.errors import SamplingError
from minireason.model.weights import checkpoint_weights
from minireason.rollout import served
from minireason.rollout.request import Request
from minireason.rollout.samplers import SamplerSettings, open_sampler
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.served import ServedEngine

STOP = 3
PARAMS = SamplingParams(temperature=1.0, top_p=1.0, max_tokens=4, seed=2**62)


class Vllm:
    """The state of the fake server and its answers; tests replace some."""

    def __init__(self, max_model_len=32, logprob=-0.5):
        self.version, self.loaded = "default", None
        self.logprob = logprob
        self.routes = {
            ("GET", "/v1/models"): lambda body: (
                200,
                {"data": [{"id": "tiny", "max_model_len": max_model_len}]},
            ),
            ("POST", "/v1/completions"): self.complete,
            ("POST", "/collective_rpc"): self.reload,
            ("POST", "/reset_prefix_cache"): lambda body: (200, {"success": True}),
            ("POST", "/update_weight_version"): self.rename,
            ("GET", "/weight_info"): lambda body: (200, {"weight_version": self.version}),
        }

    def complete(self, body):
        """The prompt's last token and the next ones, a stop token at last."""
        last = body["prompt"][-1]
        is_probe = body["top_k"] == 1
        ids = [last, last + 1, STOP]
        values = [self.logprob if is_probe else -1.0] * 3
        choice = {
            "token_ids": ids,
            "logprobs": {"token_logprobs": values},
            "finish_reason": "stop",
        }
        return 200, {"choices": [choice], "usage": {}}

    def reload(self, body):
        [path] = body["kwargs"].values()
        self.loaded = load_file(f"{path}/model.safetensors")
        return 200, {"results": [None]}

    def rename(self, body):
        self.version = body["new_version"]
        return 200, {"success": True}


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Start the fake server and open an engine on it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def begin(vllm):
        servers.append(FakeVllm(vllm.routes))
        return ServedEngine(servers[-1].url, [STOP], 32, 1000, tmp_path, 2), servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def agreeing(monkeypatch):
    """The fake server computes no model: what its numbers are is not looked at."""
    monkeypatch.setattr(served, "require_agreement", lambda sampler, model: None)


def requests(num=3):
    return [Request([5, 10 + n], PARAMS) for n in range(num)]


def completions_asked(server):
    return [body for path, body in server.asked if path == "/v1/completions"]


def test_a_request_carries_token_ids_and_every_setting(start):
    engine, server = start(Vllm())
    engine.generate(requests(1))
    assert completions_asked(server)[-1] == {
        "model": "tiny",
        "prompt": [5, 10],
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": 4,
        "seed": 2**62,
        "stop_token_ids": [STOP],
        "ignore_eos": True,
        "logprobs": 0,
        "return_token_ids": True,
    }


def test_completions_come_back_in_order_with_their_tokens(start):
    engine, _ = start(Vllm())
    announced = []
    found = engine.generate(requests(), lambda index, completion: announced.append(index))
    assert [c.token_ids for c in found] == [[10 + n, 11 + n, STOP] for n in range(3)]
    assert {c.finish_reason for c in found} == {"stop"} and sorted(announced) == [0, 1, 2]


@pytest.mark.parametrize(("logprob", "told"), [(0.0, ([-1.0] * 3, [])), (-0.5, ([], [-1.0] * 3))])
def test_what_it_reports_is_found_out_once(start, logprob, told):
    engine, server = start(Vllm(logprob=logprob))
    warm = Request([5], SamplingParams(temperature=0.7, top_p=1.0, max_tokens=4))
    for _ in range(2):
        [found] = engine.generate([warm])
        assert (found.logprobs, found.raw_logprobs) == told
    asked = completions_asked(server)
    assert [body["top_k"] for body in asked] == [1, 0, 0]
    assert (asked[0]["temperature"], asked[0]["stop_token_ids"]) == (1.0, [])


def test_weights_travel_as_safetensors_and_the_cache_goes(start, agreeing, tmp_path):
    vllm, model = Vllm(), small_model(0).model
    engine, server = start(vllm)
    engine.load_weights(model)
    expected = checkpoint_weights(model)
    assert vllm.loaded.keys() == expected.keys()
    assert all(vllm.loaded[name].equal(weight) for name, weight in expected.items())
    assert [path for path, _ in server.asked[1:]] == [
        "/collective_rpc",
        "/reset_prefix_cache?reset_running_requests=true",
        "/update_weight_version",
    ]
    assert server.asked[1][1]["method"] == "reload_weights"
    assert list(tmp_path.iterdir()) == []
    assert len(engine.generate(requests())) == 3


def test_weights_that_did_not_arrive_are_an_error(start):
    engine, _ = start(Vllm())
    with pytest.raises(SamplingError, match="did not take all weights"):
        engine.load_weights(small_model(0).model)


@pytest.mark.parametrize("lost_at", ["before", "meanwhile"])
def test_a_server_that_started_again_is_noticed(start, agreeing, lost_at):
    vllm = Vllm()

    def lose(body):
        vllm.version = "default"
        return vllm.complete(body)

    engine, _ = start(vllm)
    engine.load_weights(small_model(0).model)
    if lost_at == "before":
        vllm.version = "default"
    else:
        vllm.routes["POST", "/v1/completions"] = lose
    with pytest.raises(SamplingError, match="has weights 'default' and not those it was given"):
        engine.generate(requests())


@pytest.mark.parametrize(
    ("route", "answer", "reason"),
    [
        ("/collective_rpc", (404, {}), "start vLLM .* with VLLM_SERVER_DEV_MODE=1"),
        ("/collective_rpc", (500, {"error": "no such file"}), "status 500: .*no such file"),
        ("/reset_prefix_cache", (200, {"success": False}), "did not drop its prefix cache"),
        ("/update_weight_version", (404, {}), "has no /update_weight_version"),
    ],
)
def test_an_update_that_fails_says_what_the_server_needs(start, tmp_path, route, answer, reason):
    vllm = Vllm()
    vllm.routes["POST", route] = lambda body: answer
    engine, server = start(vllm)
    with pytest.raises(SamplingError, match=reason):
        engine.load_weights(small_model(0).model)
    assert list(tmp_path.iterdir()) == [] and completions_asked(server) == []


def test_a_context_that_is_too_short_is_an_error_at_once(start):
    with pytest.raises(SamplingError, match=r"takes 31 tokens .* start it with --max-model-len 32"):
        start(Vllm(max_model_len=31))


def test_a_server_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SamplingError, match="did not answer"):
        ServedEngine("http://127.0.0.1:9/v1", [STOP], 32, 1000, tmp_path)


def test_a_request_that_fails_ends_the_call(start):
    vllm = Vllm()
    engine, _ = start(vllm)
    engine.generate(requests(1))
    vllm.routes["POST", "/v1/completions"] = lambda body: (400, {"error": "too hot"})
    with pytest.raises(SamplingError, match=r"failed: status 400: .*too hot"):
        engine.generate(requests())


def test_a_stop_by_another_token_is_an_error(start):
    vllm = Vllm()

    def stopped(body):
        status, reply = vllm.complete(body)
        reply["choices"][0]["token_ids"][-1] = 9
        return status, reply

    vllm.routes["POST", "/v1/completions"] = stopped
    engine, _ = start(vllm)
    with pytest.raises(SamplingError, match=r"after token 9, .* --generation-config vllm"):
        engine.generate(requests())


def test_it_opens_with_the_models_weights(start, agreeing, tmp_path):
    vllm, tiny = Vllm(), small_model(0)
    _, server = start(vllm)
    settings = SamplerSettings("server", server.url, max_batch=5, max_length=32)
    opened = open_sampler(settings, tiny, tmp_path)
    assert isinstance(opened, ServedEngine)
    assert (opened.endpoint.concurrency, opened.max_length) == (5, 32)
    assert vllm.loaded is not None
