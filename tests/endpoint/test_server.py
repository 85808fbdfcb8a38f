"""Which endpoints are allowed, and where the key comes from."""

import pytest

from minireason.endpoint.server import Endpoint, without_key
from minireason.errors import SamplingError


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "localhost:8000"},
        {"base_url": "http://"},
        {"base_url": "http://127.0.0.1:port/v1"},
        {"concurrency": 0},
        {"max_retries": -1},
        {"timeout_s": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(SamplingError):
        Endpoint(**{"base_url": "http://127.0.0.1/v1", "model": "m", **settings})


@pytest.mark.parametrize("url", ["http://me:secret@host/v1", "http://host/v1?key=secret"])
def test_a_url_with_a_secret_is_refused_without_showing_it(url):
    with pytest.raises(SamplingError, match="base_url holds a user") as error:
        Endpoint(url, "m")
    assert "secret" not in str(error.value)


def test_the_key_is_the_variables_text_without_space_around_it(monkeypatch):
    monkeypatch.setenv("SOME_KEY", " secret-key\n")
    assert Endpoint("http://h", "m", api_key_env="SOME_KEY").key() == "secret-key"
    assert Endpoint("http://h", "m", api_key_env="").key() == ""


@pytest.mark.parametrize("key", ["secret\nkey", "secret-kéy"])
def test_a_key_no_header_can_carry_is_refused_without_showing_it(monkeypatch, key):
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(SamplingError, match="the key in SOME_KEY holds") as error:
        Endpoint("http://h", "m", api_key_env="SOME_KEY").key()
    assert "secret" not in str(error.value)


def test_a_key_is_blacked_out_but_a_placeholder_is_text():
    assert without_key(b"bad key secret-key", "secret-key") == b"bad key ***"
    assert without_key(b"EMPTY", "EMPTY") == b"EMPTY"
