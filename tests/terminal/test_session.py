import pytest

from minireason.errors import SamplingError
from minireason.inference.resolve import open_local
from minireason.retrieval import Retriever
from minireason.rollout.sampling import SamplingParams
from minireason.terminal.history import STOPPED, Answer
from minireason.terminal.session import Session
from minireason.terminal.view import PlainView


def test_a_conversation_is_sent_whole_but_for_the_thinking(open_session):
    session = open_session("<think>add</think>\n\nIt is 7.", system="Be brief.")
    session.ask("3+4?")
    session.ask("Sure?")
    assert session.backend.turns[1].messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "3+4?"},
        {"role": "assistant", "content": "It is 7."},
        {"role": "user", "content": "Sure?"},
    ]
    assert session.history.exchanges[0].answer == Answer("It is 7.", "add", "stop")
    assert session.said == []


def test_ctrl_c_keeps_what_came_and_the_chat_goes_on(open_session):
    session = open_session("<think>a</think> one two three", interrupt_after=3)
    session.ask("count")
    assert session.history.exchanges[0].answer == Answer("one two", "a", STOPPED)
    assert "stopped; what came is kept" in session.said[0]
    assert session.backend.num_closed == 1
    session.backend.interrupt_after = None
    session.ask("go on")
    assert session.backend.turns[1].messages[1] == {"role": "assistant", "content": "one two"}


def test_a_question_that_fails_is_kept_for_retry(open_session):
    answers = iter([SamplingError("the server is gone"), "7"])
    session = open_session(lambda messages: next(answers))
    session.ask("3+4?")
    assert session.said == ["the server is gone (/retry asks again)\n"]
    assert session.history.messages() == []
    assert session.retry()
    assert session.history.messages()[-1]["content"] == "7"


def test_ctrl_c_before_an_answer_begins_leaves_no_question_open(open_session):
    class Interrupted:
        def grounded(self, messages, **counted):
            raise KeyboardInterrupt

    session = open_session("7")
    session.retriever = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        session.ask("3+4?")
    assert session.history.messages() == []
    session.retriever = None
    assert session.retry()
    assert [message["content"] for message in session.history.messages()] == ["3+4?", "7"]


def test_a_retry_draws_other_numbers_and_the_same_seed_the_same(open_session):
    def seeds(seed):
        session = open_session("7", params=SamplingParams(seed=seed))
        session.ask("3+4?")
        session.retry()
        session.ask("5+6?")
        assert len(session.history.exchanges) == 2
        return [turn.params.seed for turn in session.backend.turns]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 6


def test_there_is_nothing_to_retry_at_first(open_session):
    assert not open_session("7").retry()


def test_a_nearly_full_context_is_said_and_nothing_dropped(open_session):
    session = open_session("one two three", max_length=10)
    session.ask("a b c d")
    assert session.said == []
    session.ask("e f g h")
    assert "about 14 of the context's 10 tokens" in session.said[-1]
    assert len(session.backend.turns[-1].messages) == 3


def test_thinking_that_is_not_sent_again_fills_no_context(open_session):
    session = open_session("<think>" + "a " * 50 + "</think> b", max_length=60)
    session.ask("one two")
    assert session.said == []


def test_an_answer_cut_off_says_by_what(open_session):
    session = open_session("a b c d e", params=SamplingParams(max_tokens=3), max_length=90)
    session.ask("?")
    assert session.said == ["cut off after 3 tokens by /max-tokens\n"]


def test_the_budget_closes_the_thinking_as_it_streams(open_session):
    params = SamplingParams(max_tokens=50, thinking_budget=2)
    session = open_session("<think>one two three</think>It is 2.", params=params)
    session.ask("?")
    assert session.history.exchanges[0].answer == Answer("It is 2.", "one two", "stop")
    assert all(turn.params.thinking_budget == 0 for turn in session.backend.turns)


def test_a_thinking_that_begins_in_the_prompt_is_no_answer(open_session):
    session = open_session("hm</think>yes", starts_thinking=True)
    session.ask("?")
    assert session.history.exchanges[0].answer == Answer("yes", "hm")


@pytest.mark.parametrize("mode", ["show", "fold", "hide"])
def test_how_thinking_is_shown_changes_nothing_that_is_kept(open_session, mode):
    session = open_session("<think>hm</think>yes")
    session.thinking = mode
    session.ask("?")
    assert session.history.exchanges[0].answer == Answer("yes", "hm")
    assert ("hm" in "".join(session.shown)) == (mode == "show")


@pytest.mark.parametrize(("context", "is_told"), [(1024, True), (200, False)])
def test_passages_leave_half_of_the_context_free(context, is_told, tmp_path):
    (tmp_path / "peaks.txt").write_text("Everest is 8,849 m high. " * 8)
    backend = open_local("tiny", max_batch=1, max_length=context, threads=1)
    said, params = [], SamplingParams(max_tokens=1)
    view = PlainView(said.append, said.append)
    session = Session(backend, view, params, retriever=Retriever(tmp_path))
    session.ask("How high is Everest?")
    assert len(session.history.exchanges) == 1, said
    assert bool(session._passages) == is_told


def test_passages_stand_before_the_question_and_what_is_cited_is_said(open_session, tmp_path):
    (tmp_path / "peaks.txt").write_text("Everest is 8,849 m high.\n\nMont Blanc is 4,806 m high.")
    session = open_session("It is 8,849 m [1].", retriever=Retriever(tmp_path))
    session.ask("How high is Everest?")
    [turn] = session.backend.turns
    [asked] = turn.messages
    assert "8,849" in asked["content"] and asked["content"].endswith("How high is Everest?")
    assert session.history.messages()[0]["content"] == "How high is Everest?"
    assert session.said[0].startswith("[1] peaks.txt:1: Everest is 8,849 m high.")
