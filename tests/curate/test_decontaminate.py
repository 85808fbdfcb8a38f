import pytest

from minireason.curate.decontaminate import ContaminationIndex
from minireason.errors import DataError
from minireason.problems.procedural import generate_questions
from minireason.records import Question

LONG = "A train leaves the station at noon and travels 60 miles an hour towards a town far away."


def questions(*texts, prefix="q"):
    return [Question(f"{prefix}{i}", text, "1", "t") for i, text in enumerate(texts)]


def dropped_by(train, evaluation, **settings):
    index = ContaminationIndex(questions(evaluation, prefix="e"), **settings)
    assert index.find(Question("other", "Nothing alike.", "1", "t")) is None
    dropped = [found for question in questions(train) if (found := index.find(question))]
    return [(d.evaluation_id, d.reason, round(d.overlap, 2)) for d in dropped]


def test_equal_up_to_dress_is_dropped_whatever_its_length():
    assert dropped_by("what is $2+2$?", "What is 2+2") == [
        ("e0", "equals an evaluation question", 1.0)
    ]


def test_evaluation_question_inside_a_longer_one_is_dropped():
    assert dropped_by(f"Read this. {LONG} When does it arrive?", LONG) == [
        ("e0", "overlaps an evaluation question", 1.0)
    ]


def test_share_of_the_evaluation_questions_ngrams_decides():
    # 18 words, so 11 8-grams; another number at word 9 is in 8 of them: 3 of 11 remain.
    other = LONG.replace("travels", "covers")
    assert dropped_by(other, LONG, min_overlap=0.27) == [
        ("e0", "overlaps an evaluation question", 0.27)
    ]
    assert dropped_by(other, LONG, min_overlap=0.28, min_jaccard=0) == []


def test_same_template_with_another_number_inside_is_kept():
    assert dropped_by(LONG.replace("60", "75"), LONG) == []


def test_same_numbers_and_answer_in_nearly_the_same_words_is_dropped():
    # 18 words, so 16 triples; the changed word is in 3 of them: 13 shared of 19.
    assert dropped_by(LONG.replace("travels", "covers"), LONG) == [
        ("e0", "is nearly an evaluation question", 0.68)
    ]


@pytest.mark.parametrize(
    "near", ["Find $\\sin 60^\\circ$", "COMPUTE $\\sin\\,60^{\\circ}$ exactly."]
)
def test_short_evaluation_question_is_found_in_nearly_the_same_words(near):
    assert [row[0] for row in dropped_by(near, "Compute $\\sin 60^\\circ$.")] == ["e0"]


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        ("What is 2+2 and then some more words that follow after it?", "4"),
        ("What is 2+3?", "5"),
        ("What is 2-2?", "0"),
        ("What is 2+2+1?", "5"),
        ("Is 2 + 2 a prime?", "no"),
    ],
)
def test_short_evaluation_question_is_not_found_in_another(other, answer):
    index = ContaminationIndex([Question("e", "What is 2+2?", "4", "t")])
    assert index.find(Question("q", other, answer, "t")) is None


def test_same_wording_with_another_answer_is_no_copy():
    train = [Question("q", "How many vowels are in SAND?", "1", "t")]
    evaluation = [Question("e", "How many vowels are in BEADS?", "2", "t")]
    assert ContaminationIndex(evaluation).find(train[0]) is None


def test_zero_overlap_switches_the_ngram_rule_off():
    assert dropped_by(f"Read this. {LONG}", LONG, min_overlap=0.0) == []


def test_nearest_of_several_is_named():
    index = ContaminationIndex(questions(LONG + " Go on and on.", LONG, prefix="e"))
    [train] = questions(LONG + " Stop.")
    found = index.find(train)
    assert (found.evaluation_id, found.evaluation_text, found.text) == ("e1", LONG, train.text)


@pytest.mark.parametrize(
    "settings", [{"ngram": 0}, {"min_overlap": 1.1}, {"min_overlap": -1}, {"min_jaccard": 2}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(DataError, match="must be"):
        ContaminationIndex([], **settings)


def test_procedural_questions_survive_in_spite_of_their_shared_wording():
    train = generate_questions(500, 0, "train")
    index = ContaminationIndex(generate_questions(100, 0, "eval"))
    assert sum(index.find(question) is None for question in train) >= 0.97 * len(train)


def test_real_benchmarks_are_found_in_themselves(data_folder):
    from minireason.problems.sources import load_questions

    evaluation = load_questions(str(data_folder / "benchmarks" / "math500.jsonl"))
    train = load_questions(str(data_folder / "problems" / "gsm8k_train.jsonl"), limit=500)
    index = ContaminationIndex(evaluation)
    assert all(index.find(question) for question in evaluation)
    assert sum(index.find(question) is None for question in train) >= 0.99 * len(train)


def test_real_overlaps_between_math_and_olympiadbench_are_found(data_folder):
    from minireason.problems.sources import load_questions

    index = ContaminationIndex(
        load_questions(str(data_folder / "benchmarks" / "olympiadbench.jsonl"))
    )
    train = load_questions(
        str(data_folder / "problems" / "math_train.jsonl"), on_bad_row=lambda error: None
    )
    found = {found.question_id for question in train if (found := index.find(question))}
    assert found == {
        f"math/train/{name}"
        for name in (
            "intermediate_algebra/219",
            "intermediate_algebra/222",
            "intermediate_algebra/231",
            "intermediate_algebra/1229",
            "precalculus/209",
            "precalculus/244",
        )
    }
