from dataclasses import replace
from itertools import compress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.sft import SftSelection, select_sft
from minireason.errors import DataError
from minireason.records import Annotation


def annotations(groups, levels=None, domains=None, rates=None):
    """Annotations of e.g. {"q1": "10 20 x 5"}: numbers are characters, x was dropped before.

    A response has a tenth as many tokens as characters.
    """
    return [
        Annotation(
            question_id=id,
            index=index,
            source="t",
            domain=(domains or {}).get(id, "algebra"),
            level=(levels or {}).get(id, "high"),
            verdict="incorrect" if word == "x" else "correct",
            pass_rate=(rates or {}).get(id, 1.0),
            num_tokens=0 if word == "x" else int(word) // 10,
            num_characters=0 if word == "x" else int(word),
            is_truncated=False,
            repetition=0.0,
            repeated_ngrams=0.0,
            compression=0.0,
            loop=0.0,
            foreign_share=0.0,
            quality=1.0,
            dropped="incorrect" if word == "x" else "",
        )
        for id, words in groups.items()
        for index, word in enumerate(words.split())
    ]


def chosen(found, **settings):
    """The ids of what is taken, and the account."""
    mask, ledger = select_sft(iter(found), SftSelection(**settings))
    kept = [f"{a.question_id}#{a.index}" for a in found if not a.dropped]
    assert len(mask) == len(kept) == ledger.num_in
    return list(compress(kept, mask)), ledger


def test_the_shorter_half_is_taken_but_nothing_degenerate():
    # Median 100, so 20 is degenerate; of 90, 100, 110, 120 the shorter half is 90 and 100.
    ids, ledger = chosen(annotations({"a": "120 20 x 100 110 90"}), per_question=5)
    assert ids == ["a#3", "a#5"]
    assert ledger.dropped == {
        "degenerate: far shorter than the others": 1,
        "in the longer half": 2,
    }
    assert ledger.tokens_dropped == {
        "degenerate: far shorter than the others": 2,
        "in the longer half": 11 + 12,
    }


def test_at_most_so_many_of_a_question_are_taken():
    ids, ledger = chosen(annotations({"a": "90 90 90 90 90"}))
    assert len(ids) == 1
    assert ledger.dropped == {"in the longer half": 2, "over the number a question": 2}


def test_responses_of_low_quality_are_dropped():
    found = annotations({"a": "90 90"})
    found[0] = replace(found[0], quality=0.4)
    ids, ledger = chosen(found)
    assert ids == ["a#1"] and ledger.dropped == {"of low quality": 1}
    assert chosen(found, min_quality=0.4, per_question=2)[1].dropped == {"in the longer half": 1}


def test_questions_with_a_low_pass_rate_come_first():
    rates = {"easy": 1.0, "hard": 0.2, "medium": 0.5}
    found = annotations({"easy": "90", "hard": "90", "medium": "90"}, rates=rates)
    assert chosen(found, size=2)[0] == ["hard#0", "medium#0"]


def test_higher_levels_come_first_and_domains_take_turns():
    groups = {f"{d}{e}{i}": "90" for d in "ag" for e in "eh" for i in range(5)}
    found = annotations(
        groups,
        levels={id: "elementary" if id[1] == "e" else "high" for id in groups},
        domains={id: "algebra" if id[0] == "a" else "geometry" for id in groups},
    )
    for size, cells in [(2, {"ah", "gh"}), (4, {"ah", "gh", "ae", "ge"})]:
        assert sorted(id[:2] for id in chosen(found, size=size)[0]) == sorted(cells)


def test_a_budget_of_tokens_ends_the_ranking_where_it_is_spent():
    rates = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    found = annotations({"a": "40", "b": "50", "c": "90", "d": "10"}, rates=rates)
    ids, ledger = chosen(found, tokens=10)  # 4 + 5, then 9 is too many, and 1 must not slip in
    assert ids == ["a#0", "b#0"]
    assert ledger.dropped == {"over the size in tokens": 2}


def test_the_choice_depends_on_the_seed_alone():
    found = annotations({f"q{i}": "90 90 90 90" for i in range(20)})
    assert chosen(found)[0] == chosen(found)[0] != chosen(found, seed=1)[0]


def test_an_empty_selection_names_the_filter():
    found = [replace(a, quality=0.1) for a in annotations({"a": "90 90"})]
    with pytest.raises(DataError, match="no SFT examples left of 2 rows; dropped: 2 of low qual"):
        chosen(found)


WORDS = st.lists(st.sampled_from(["x", "10", "50", "990"]), max_size=6).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 3))
def test_the_account_holds_and_limits_are_kept_for_any_rollouts(groups, size, per_question):
    found = annotations({f"q{i}": group for i, group in enumerate(groups)} | {"sure": "90"})
    ids, ledger = chosen(found, size=size, per_question=per_question)
    assert ledger.num_in == len(ids) + ledger.dropped.total() and len(ids) <= size
    taken = [id.split("#")[0] for id in ids]
    assert all(taken.count(id) <= per_question for id in taken)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"per_question": 0}, {"tokens": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError):
        SftSelection(**wrong)
