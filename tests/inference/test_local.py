import pytest

from minireason.errors import MissingError, SamplingError
from minireason.inference.backend import Turn
from minireason.inference.resolve import model_folder, open_local
from minireason.rollout.sampling import SamplingParams

QUESTION = [{"role": "user", "content": "What is 3+4?"}]
GREEDY = SamplingParams(temperature=0.0, max_tokens=12)


@pytest.fixture(scope="module")
def backend():
    return open_local("tiny", device="cpu", threads=1)


def test_a_stream_adds_up_to_the_response(backend):
    turn = Turn(QUESTION, SamplingParams(temperature=1.0, max_tokens=12, seed=3))
    [response] = backend.respond([turn])
    pieces = list(backend.stream(turn))
    assert "".join(piece.text for piece in pieces) == response.text
    assert pieces[-1].response == response
    assert response.num_tokens <= 12


def test_the_log_probability_is_that_of_the_sampled_tokens(backend):
    [response] = backend.respond([Turn(QUESTION, GREEDY)])
    [completion] = backend.engine.generate([backend.request(Turn(QUESTION, GREEDY))])
    assert response.logprob == pytest.approx(sum(completion.raw_logprobs))
    assert response.num_prompt_tokens == len(backend.chat.prompt_ids(QUESTION))


def test_a_turn_goes_on_where_it_begun(backend):
    [whole] = backend.respond([Turn(QUESTION, SamplingParams(temperature=0.0, max_tokens=12))])
    [begin] = backend.respond([Turn(QUESTION, SamplingParams(temperature=0.0, max_tokens=4))])
    rest = SamplingParams(temperature=0.0, max_tokens=8)
    [end] = backend.respond([Turn(QUESTION, rest, begun=begin.text)])
    assert begin.text + end.text == whole.text


def test_a_stop_text_is_not_shown(backend):
    [whole] = backend.respond([Turn(QUESTION, GREEDY)])
    stop = whole.text[3:5]
    stopped = SamplingParams(temperature=0.0, max_tokens=12, stop=(stop,))
    [response] = backend.respond([Turn(QUESTION, stopped)])
    assert response.text == whole.text[: whole.text.index(stop)]
    assert response.finish_reason == "stop"


def test_a_conversation_that_fills_the_context_is_refused(backend):
    with pytest.raises(SamplingError, match="context"):
        backend.respond([Turn([{"role": "user", "content": "1 " * 5000}], GREEDY)])


def test_messages_that_the_template_refuses_are_an_error(backend, monkeypatch):
    refusing = "{{ raise_exception('System role not supported') }}"
    monkeypatch.setattr(backend.chat.tokenizer, "chat_template", refusing)
    with pytest.raises(SamplingError, match="refuses messages of system, user: System role"):
        backend.respond([Turn([{"role": "system", "content": "Be brief."}, *QUESTION], GREEDY)])


def test_a_run_folder_means_its_highest_rung(tmp_path):
    for rung in ("midtrain", "dpo"):
        (tmp_path / rung).mkdir()
        (tmp_path / rung / "config.json").write_text("{}")
    assert model_folder(str(tmp_path)) == str(tmp_path / "dpo")
    assert model_folder("microsoft/Phi-4-mini-reasoning") == "microsoft/Phi-4-mini-reasoning"
    with pytest.raises(MissingError, match="nothing-here"):
        model_folder(str(tmp_path / "nothing-here"))
