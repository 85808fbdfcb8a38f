"""The OpenAI-compatible teacher against a small server on this machine."""

from chat_server import completion, echo

from minireason.endpoint.server import Endpoint
from minireason.endpoint.usage import Usage
from minireason.records import Question
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import SampleTeacher
from minireason.seeding import derive_seed

QUESTIONS = [Question(f"q{i}", f"What is {i} + 1?", str(i + 1), "test") for i in range(6)]
PARAMS = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=50, seed=3)


def teacher(server, system_prompt="", **settings):
    settings = {"backoff_s": 0.01, "timeout_s": 10.0, **settings}
    return OpenAITeacher(Endpoint(server.url, "m", **settings), system_prompt)


def samples(asked, num_questions=6, num_rollouts=1, keep=lambda sample: None):
    jobs = [(q, i) for q in QUESTIONS[:num_questions] for i in range(num_rollouts)]
    return list(asked.samples(jobs, PARAMS, keep))


def test_it_is_a_teacher_by_samples(serve):
    assert isinstance(teacher(serve(echo)), SampleTeacher)


def test_every_sample_is_a_request_with_its_own_derived_seed(serve):
    server = serve(echo)
    found = samples(teacher(server), num_rollouts=3)
    assert {(s.question_id, s.index) for s in found} == {
        (q.id, i) for q in QUESTIONS for i in range(3)
    }
    for rollout in (s.rollout for s in found):
        assert rollout.seed == derive_seed(3, rollout.question_id, rollout.index)
        assert rollout.response.endswith(f"seed {rollout.seed & 0x7FFFFFFF}")
        assert (rollout.model, rollout.finish_reason, rollout.num_tokens) == ("m", "stop", 5)
    assert len({request["seed"] for _, request in server.requests}) == 18


def test_request_carries_the_sampling_settings_and_the_system_prompt(serve):
    server = serve(echo)
    samples(teacher(server, "Think."), 1)
    path, request = server.requests[0]
    assert path == "/v1/chat/completions"
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.7, 0.9, 50)
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert "top_k" not in request and "n" not in request


def test_thinking_and_a_cut_response_reach_the_rollout(serve):
    server = serve(lambda request, n: completion("So", "length", reasoning="1 + 1"))
    [sample] = samples(teacher(server), 1)
    assert sample.rollout.response == "<think>1 + 1</think>So"
    assert sample.rollout.finish_reason == "length"


def test_a_failed_sample_says_why_and_what_it_used(serve):
    server = serve(
        lambda request, n: (500, b"broken", {}) if "4 + 1" in str(request) else echo(request, n)
    )
    kept = []
    found = samples(teacher(server, max_retries=2, concurrency=1), keep=kept.append)
    assert found == kept
    failed = found[4]
    assert (failed.question_id, failed.rollout) == ("q4", None)
    assert failed.failure == "status 500: broken (3 tries)"
    assert failed.usage == Usage(requests=3, retries=2)


def test_settings_hold_what_a_sample_depends_on_and_not_where_the_server_is(serve):
    here, there = teacher(serve(echo), "Think."), teacher(serve(echo), "Think.", concurrency=2)
    assert here.settings(PARAMS) == there.settings(PARAMS)
    assert here.settings(PARAMS) == {
        "model": "m",
        "system_prompt": "Think.",
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 0,
        "max_tokens": 50,
        "seed": 3,
    }
