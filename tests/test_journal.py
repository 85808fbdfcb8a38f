"""Journals: what is appended survives a kill, and belongs to its settings."""

import json

import pytest

from minireason.errors import RunFolderError
from minireason.journal import Journal

SETTINGS = {"model": "m", "temperature": 0.6}
ENTRIES = [
    {"n": 1, "text": "line\nbreak\r\u2028"},
    {"n": 2, "text": "\ud800"},
    {"n": 3, "text": ""},
]


@pytest.fixture
def journal(tmp_path):
    found = Journal(tmp_path / "j.jsonl", SETTINGS)
    for entry in ENTRIES:
        found.append(entry)
    return found


def test_entries_come_back_in_order(journal):
    assert Journal(journal.path, SETTINGS).entries() == ENTRIES


def test_there_is_no_file_before_the_first_entry(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", SETTINGS)
    assert journal.entries() == [] and not journal.path.exists()
    journal.remove()


def test_torn_anywhere_it_holds_the_whole_entries_and_goes_on(journal):
    data = journal.path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        journal.path.write_bytes(data[:size])
        num_whole = max(0, sum(end <= size for end in ends) - 1)
        assert journal.entries() == ENTRIES[:num_whole]
        for entry in ENTRIES[num_whole:]:
            journal.append(entry)
        assert journal.path.read_bytes() == data


def test_a_last_line_of_zeros_is_torn_too(journal):
    data = journal.path.read_bytes()
    journal.path.write_bytes(data + b"\0" * 50 + b"\n")
    assert journal.entries() == ENTRIES
    assert journal.path.read_bytes() == data


def test_damage_in_the_middle_is_an_error_naming_the_line(journal):
    lines = journal.path.read_bytes().split(b"\n")
    lines[2] = b"{"
    journal.path.write_bytes(b"\n".join(lines))
    with pytest.raises(RunFolderError, match=r"j.jsonl, line 3 is no JSON object"):
        journal.entries()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**SETTINGS, "temperature": 0.7}, "temperature was 0.6, is now 0.7"),
        ({**SETTINGS, "seed": 1}, "seed was None, is now 1"),
        ({"model": "m"}, "temperature was 0.6, is now None"),
    ],
)
def test_other_settings_are_an_error_that_says_which(journal, settings, message):
    with pytest.raises(RunFolderError, match=message):
        Journal(journal.path, settings).entries()


def test_a_file_that_is_no_journal_is_an_error(tmp_path):
    (tmp_path / "j.jsonl").write_text(json.dumps({"question": "?"}) + "\n")
    with pytest.raises(RunFolderError, match="begun with other settings"):
        Journal(tmp_path / "j.jsonl", SETTINGS).entries()
