"""Counting requests and tokens, and their cost."""

import pytest

from minireason.endpoint.usage import Usage, read_usage


def test_usages_add_up():
    assert Usage(1, 0, 10, 20, 5) + Usage(3, 2, 1, 1) == Usage(4, 2, 11, 21, 5)


def test_cost_is_per_million_tokens():
    assert Usage(prompt_tokens=2_000_000, completion_tokens=500_000).cost([0.5, 2.0]) == 2.0


@pytest.mark.parametrize(
    "thinking", [{"completion_tokens_details": {"reasoning_tokens": 7}}, {"reasoning_tokens": 7}]
)
def test_reasoning_tokens_are_read_where_servers_put_them(thinking):
    body = {"usage": {"prompt_tokens": 3, "completion_tokens": 9, **thinking}}
    assert read_usage(body) == Usage(0, 0, 3, 9, 7)


@pytest.mark.parametrize(
    "usage", [None, [], "many", {"completion_tokens": -1}, {"prompt_tokens": "3"}, {}]
)
def test_what_the_server_does_not_say_counts_nothing(usage):
    assert read_usage({"usage": usage}) == Usage()
