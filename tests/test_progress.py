import io

import pytest
from rich.console import Console

from minireason import progress
from minireason.progress import Progress


@pytest.fixture
def written(monkeypatch):
    """What a progress writes, to a terminal or elsewhere."""

    def make(is_terminal):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=is_terminal, width=100)
        return Progress(console), stream.getvalue

    return make


def test_off_a_terminal_a_line_comes_now_and_then(written, monkeypatch):
    clock = iter([0.0, 1.0, 15.0, 15.0, 16.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown, text = written(is_terminal=False)
    with shown.track("sft") as advance:
        advance(1, 9, "loss 2")
        advance(5, 9, "loss 1")
        advance(6, 9, "loss 0")
    assert text() == "  sft 5/9 loss 1\n"


def test_on_a_terminal_a_bar_shows_what_is_done(written):
    shown, text = written(is_terminal=True)
    with shown.track("sft") as advance:
        advance(9, 9, "loss 1")
    assert "sft" in text() and "9/9" in text()


def test_a_quiet_progress_writes_nothing(capsys):
    shown = Progress(is_quiet=True)
    shown.say("a line")
    with shown.track("sft") as advance:
        advance(1, 2, "")
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error(capsys):
    Progress().say("a line")
    assert capsys.readouterr() == ("", "a line\n")
