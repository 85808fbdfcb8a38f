"""The OpenAI-compatible teacher against a small server on this machine."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from minireason.errors import SamplingError
from minireason.records import Question
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.retry import wait_s
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed

QUESTIONS = [Question(f"q{i}", f"What is {i} + 1?", str(i + 1), "test") for i in range(6)]
PARAMS = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=50, seed=3)


class ChatServer:
    """Answers every question through `answer(request, number_of_this_prompt's_tries)`.

    `answer` gives (status, body, headers); the requests and the most at once are kept.
    """

    def __init__(self, answer):
        self.requests, self.headers, self.most_at_once = [], [], 0
        at_once, tries, lock, server = 0, Counter(), threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                nonlocal at_once
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    at_once += 1
                    server.most_at_once = max(server.most_at_once, at_once)
                    server.requests.append((self.path, body))
                    server.headers.append(dict(self.headers))
                    key = (body["messages"][-1]["content"], body["seed"])
                    tries[key] += 1
                status, reply, headers = answer(body, tries[key])
                with lock:
                    at_once -= 1
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except ConnectionError:
                    pass

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def serve(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def start(answer):
        servers.append(ChatServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def completion(text, finish_reason="stop", num_tokens=5, **message):
    choice = {"message": {"content": text, **message}, "finish_reason": finish_reason}
    return 200, {"choices": [choice], "usage": {"completion_tokens": num_tokens}}, {}


def echo(request, attempt):
    return completion(f"{request['messages'][-1]['content']} seed {request['seed']}")


def teacher(server, **settings):
    return OpenAITeacher(server.url, "m", **{"backoff_s": 0.01, "timeout_s": 10.0, **settings})


def test_every_sample_is_a_request_with_its_own_derived_seed(serve):
    server = serve(echo)
    groups = list(teacher(server).sample(QUESTIONS, 3, PARAMS))
    assert {g[0].question_id for g in groups} == {q.id for q in QUESTIONS}
    for rollout in (r for group in groups for r in group):
        assert rollout.seed == derive_seed(3, rollout.question_id, rollout.index)
        assert rollout.response.endswith(f"seed {rollout.seed & 0x7FFFFFFF}")
        assert (rollout.model, rollout.finish_reason, rollout.num_tokens) == ("m", "stop", 5)
    assert len({request["seed"] for _, request in server.requests}) == 18


def test_rollouts_of_a_question_come_ordered_by_index_whatever_the_order_of_answers(serve):
    release = threading.Event()

    def first_last(request, attempt):
        if request["seed"] == derive_seed(3, "q0", 0) & 0x7FFFFFFF:
            release.wait(5)
        return echo(request, attempt)

    groups = teacher(serve(first_last)).sample(QUESTIONS[:2], 4, PARAMS)
    first = next(groups)
    release.set()
    second = next(groups)
    assert (first[0].question_id, second[0].question_id) == ("q1", "q0")
    assert [r.index for r in first] == [r.index for r in second] == [0, 1, 2, 3]


def test_request_carries_the_sampling_settings_and_the_system_prompt(serve):
    server = serve(echo)
    list(teacher(server, system_prompt="Think.").sample(QUESTIONS[:1], 1, PARAMS))
    path, request = server.requests[0]
    assert path == "/v1/chat/completions"
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.7, 0.9, 50)
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert "top_k" not in request and "n" not in request


def test_as_many_requests_run_at_once_as_allowed_and_no_more(serve):
    def slow(request, attempt):
        time.sleep(0.05)
        return echo(request, attempt)

    server = serve(slow)
    list(teacher(server, concurrency=4).sample(QUESTIONS, 2, PARAMS))
    assert server.most_at_once == 4


def test_server_errors_and_rate_limits_are_tried_again(serve):
    failures = {1: 500, 2: 429}
    server = serve(lambda request, n: (failures[n], {}, {}) if n in failures else echo(request, n))
    groups = list(teacher(server).sample(QUESTIONS, 1, PARAMS))
    assert len(groups) == 6 and len(server.requests) == 18


def test_retry_after_is_waited_for(serve):
    server = serve(
        lambda request, n: (429, {}, {"Retry-After": "0.4"}) if n == 1 else echo(request, n)
    )
    began = time.monotonic()
    list(teacher(server).sample(QUESTIONS[:1], 1, PARAMS))
    assert time.monotonic() - began >= 0.4


def test_wait_doubles_and_reads_dates():
    waits = [wait_s(attempt, 1.0, seed=0) for attempt in range(4)]
    assert all(2**a <= wait <= 1.25 * 2**a for a, wait in enumerate(waits))
    assert wait_s(0, 1.0, seed=0, retry_after="Wed, 21 Oct 2099 07:28:00 GMT") == 600.0
    assert wait_s(0, 1.0, seed=0, retry_after="soon") < 2.0


def test_refused_key_is_an_error_with_the_servers_words_and_the_variable(serve, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    server = serve(lambda request, n: (401, {"error": {"message": "Incorrect API key"}}, {}))
    with pytest.raises(SamplingError, match=r"401.*Incorrect API key.*SOME_KEY, which is set") as e:
        list(teacher(server, api_key_env="SOME_KEY", concurrency=1).sample(QUESTIONS, 1, PARAMS))
    assert len(server.requests) == 1 and "secret" not in str(e.value)
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_without_a_key_no_authorization_is_sent(serve):
    server = serve(echo)
    list(teacher(server).sample(QUESTIONS[:1], 1, PARAMS))
    assert "Authorization" not in server.headers[0]


def test_what_was_finished_is_yielded_before_a_failure(serve):
    server = serve(
        lambda request, n: (500, b"broken", {}) if "4 + 1" in str(request) else echo(request, n)
    )
    found = []
    with pytest.raises(SamplingError, match="3 tries, at last status 500: broken"):
        for group in teacher(server, concurrency=1, max_retries=2).sample(QUESTIONS, 2, PARAMS):
            found.append(group[0].question_id)
    assert found == ["q0", "q1", "q2", "q3"]


def test_an_answer_that_takes_too_long_is_tried_again(serve):
    def hang_once(request, attempt):
        time.sleep(1.0 if attempt == 1 else 0)
        return echo(request, attempt)

    server = serve(hang_once)
    assert list(teacher(server, timeout_s=0.3).sample(QUESTIONS[:1], 1, PARAMS))
    assert len(server.requests) == 2


def test_server_that_is_not_there_is_a_clear_error():
    absent = OpenAITeacher("http://127.0.0.1:9/v1", "m", max_retries=1, backoff_s=0.01)
    with pytest.raises(SamplingError, match="gave no answer in 2 tries, at last ConnectError"):
        list(absent.sample(QUESTIONS[:1], 1, PARAMS))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_is_put_back_before_the_answer(serve, field):
    server = serve(lambda request, n: completion("So 2.", **{field: "1 + 1"}))
    [[rollout]] = teacher(server).sample(QUESTIONS[:1], 1, PARAMS)
    assert rollout.response == "<think>1 + 1</think>So 2."


@pytest.mark.parametrize("reason", ["length", "content_filter", None])
def test_response_that_did_not_stop_by_itself_counts_as_cut(serve, reason):
    server = serve(lambda request, n: completion("1 +", finish_reason=reason))
    [[rollout]] = teacher(server).sample(QUESTIONS[:1], 1, PARAMS)
    assert rollout.finish_reason == "length"


@pytest.mark.parametrize("body", [b"<html>hello</html>", {"choices": []}, [], {"choices": [{}]}])
def test_reply_that_is_no_completion_is_a_clear_error(serve, body):
    server = serve(lambda request, n: (200, body, {}))
    with pytest.raises(SamplingError, match="sent no chat completion"):
        list(teacher(server).sample(QUESTIONS[:1], 1, PARAMS))


def test_closing_the_iterator_cancels_what_is_running(serve):
    def slow_but_one(request, attempt):
        time.sleep(0 if "0 + 1" in str(request) else 2.0)
        return echo(request, attempt)

    rollouts = teacher(serve(slow_but_one), concurrency=6).sample(QUESTIONS, 1, PARAMS)
    assert next(rollouts)[0].question_id == "q0"
    began = time.monotonic()
    rollouts.close()
    assert time.monotonic() - began < 1.0
    assert not [t for t in threading.enumerate() if t.name == "minireason-sampling"]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_sampling_at_once(serve):
    arrived = threading.Event()

    def hang(request, attempt):
        arrived.set()
        time.sleep(3.0)
        return echo(request, attempt)

    script = textwrap.dedent(f"""
        import signal
        from minireason.records import Question
        from minireason.rollout.openai import OpenAITeacher
        from minireason.rollout.sampling import SamplingParams
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be inherited ignored
        try:
            list(OpenAITeacher({serve(hang).url!r}, "m").sample(
                [Question("q", "1?", "1", "t")], 4, SamplingParams()))
        except KeyboardInterrupt:
            print("stopped")
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert arrived.wait(10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=2.5)
    assert (out.strip(), err) == ("stopped", "")


@pytest.mark.parametrize(
    "settings", [{"base_url": "localhost:8000"}, {"concurrency": 0}, {"timeout_s": 0}]
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(SamplingError):
        OpenAITeacher(**{"base_url": "http://127.0.0.1/v1", "model": "m", **settings})
