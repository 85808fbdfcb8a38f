"""Reading completions as tokens, good and bad."""

import json

import pytest

from minireason.endpoint.reply import UnreadableReplyError
from minireason.endpoint.tokens import TokenEndpoint, read_tokens


def body(**changes):
    choice = {
        "finish_reason": "stop",
        "token_ids": [5, 6],
        "logprobs": {"token_logprobs": [-0.5, 0]},
        **changes,
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def test_tokens_logprobs_reason_and_usage_are_read():
    reply = TokenEndpoint("http://127.0.0.1/v1", "m").read(body())
    assert (reply.token_ids, reply.logprobs, reply.finish_reason) == ([5, 6], [-0.5, 0.0], "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 2)


def test_the_route_is_that_of_completions():
    assert TokenEndpoint("http://127.0.0.1/v1/", "m").url == "http://127.0.0.1/v1/completions"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"finish_reason": "abort"}, "ended by 'abort'"),
        ({"token_ids": None}, "0 token ids and 2 log-probabilities; it must know"),
        ({"token_ids": [5]}, "1 token ids and 2"),
        ({"token_ids": [], "logprobs": {"token_logprobs": []}}, "0 token ids"),
        ({"logprobs": None}, "no completion with log-probabilities"),
        ({"logprobs": {"token_logprobs": [-0.5, None]}}, "no completion with log-probabilities"),
    ],
)
def test_a_reply_that_is_no_whole_completion_says_what_it_is(changes, reason):
    with pytest.raises(UnreadableReplyError, match=reason):
        read_tokens(body(**changes))


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b'{"choices": []}', b"\xff\xfe"])
def test_anything_else_is_unreadable(text):
    with pytest.raises(UnreadableReplyError, match="no completion"):
        read_tokens(text)
