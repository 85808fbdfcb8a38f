"""Which faults are tried again, and when."""

import pytest

from minireason.endpoint.retry import backoff_wait_s, fault_of, retry_after_s


def test_the_wait_doubles_up_to_a_minute_with_up_to_a_quarter_more():
    waits = [backoff_wait_s(attempt, 1.0, seed=attempt) for attempt in range(9)]
    least = [min(2**a, 60) for a in range(9)]
    assert all(low <= wait <= 1.25 * low for low, wait in zip(least, waits, strict=True))


def test_requests_that_failed_together_do_not_come_back_together():
    assert len({backoff_wait_s(0, 1.0, seed) for seed in range(100)}) == 100


@pytest.mark.parametrize(
    ("header", "seconds"), [("2.5", 2.5), ("-1", 0), ("inf", 0), ("nan", 0), ("soon", 0), ("", 0)]
)
def test_retry_after_in_seconds(header, seconds):
    assert retry_after_s(header) == seconds


def test_retry_after_as_a_date():
    assert retry_after_s("Wed, 21 Oct 2099 07:28:00 GMT") > 1e6
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, "refusal") for status in (301, 401, 402, 403, 404)],
        *[(status, "final") for status in (400, 413, 422)],
        *[(status, "limit") for status in (429, 503)],
        *[(status, "passing") for status in (408, 500, 502, 529)],
    ],
)
def test_what_a_status_means(status, kind):
    assert fault_of(status, "").kind == kind


def test_no_server_holds_everything_back_for_more_than_ten_minutes():
    assert fault_of(429, "", "86400").pause_s == 600
