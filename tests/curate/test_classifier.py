import json
import subprocess
import sys

import numpy as np
import pytest

from minireason.curate.classifier import (
    Classifier,
    carried_classifier,
    load_classifier,
    save_classifier,
    tokens,
)
from minireason.curate.classifier_training import (
    Labelled,
    groups_of_near_copies,
    labelled,
    train,
)
from minireason.errors import DataError
from minireason.records import DOMAINS, LEVELS, Question

TINY = Classifier(
    features={"circle": 0, "sum": 1},
    weights=np.array([[2.0, 0.0, 1.0, 0.0], [0.0, 3.0, 0.0, 0.0]], dtype=np.float32),
    bias=np.array([0.0, 0.5, 0.0, 0.0], dtype=np.float32),
    squares=np.array([4.0, 1.0], dtype=np.float32),
    domains=("geometry", "algebra"),
    levels=("high", "middle"),
)


def test_features_are_words_signs_sizes_of_numbers_and_pairs():
    assert tokens("Find 7+123") == {"find", "7", "+", "#3", "find 7", "7 +", "+ #3"}
    assert tokens(r"$\frac{x}{12}$") == {"frac", "x", "#2", "frac x", "x #2"}


def test_options_are_no_part_of_the_text():
    assert tokens("Find x.\n\nA) circle\nB) cone") == tokens("Find x.")


def test_prediction_is_the_softmax_of_weights_over_the_length():
    [(domain, level)] = TINY.predict(["A circle, a circle!"])
    # 2 / sqrt(4) + 0 = 1 for geometry, 0.5 for algebra; 1 / sqrt(4) for high, 0 for middle.
    assert (domain.label, level.label) == ("geometry", "high")
    assert domain.probability == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert level.probability == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_text_without_a_known_word_gets_no_label():
    assert [(d.label, level.probability) for d, level in TINY.predict(["?", "sum", ""])] == [
        ("", 0.0),
        ("algebra", pytest.approx(0.5)),
        ("", 0.0),
    ]
    assert TINY.predict([]) == []


def test_stored_and_read_again_it_predicts_the_same(tmp_path):
    save_classifier(TINY, tmp_path / "c.npz")
    assert load_classifier(tmp_path / "c.npz").predict(["circle sum"]) == TINY.predict(
        ["circle sum"]
    )


def test_a_file_that_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "c.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"no classifier.*classifier DATA.jsonl --out"):
        load_classifier(tmp_path / "c.npz")


def test_carried_classifier_knows_our_domains_and_levels():
    carried = carried_classifier()
    assert set(carried.domains) == set(DOMAINS)
    assert set(carried.levels) < set(LEVELS)


def test_labels_come_from_the_source():
    assert labelled(Question("q", "t", "1", "MATH", domain="Precalculus", level="Level 5")) == (
        Labelled("t", "algebra", "college")
    )
    assert labelled(Question("q", "t", "1", "MATH", domain="Physics", level="")).domain == ""


def test_near_copies_share_a_group_whatever_their_numbers():
    text = "A train travels {} miles in {} hours. How far does it go in {} hours at that speed?"
    groups = groups_of_near_copies([text.format(1, 2, 3), "What is a prime?", text.format(4, 5, 6)])
    assert groups[0] == groups[2] != groups[1]


def test_training_learns_the_words_that_tell_classes_apart():
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra curate-train")
    rows = [Labelled("the circle is round", "geometry", "high")] * 5
    rows += [Labelled("the sum is even", "algebra", "middle")] * 5
    predicted = train(rows).predict(["a circle", "some sum"])
    assert [(d.label, level.label) for d, level in predicted] == [
        ("geometry", "high"),
        ("algebra", "middle"),
    ]


def test_training_needs_two_classes():
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra curate-train")
    with pytest.raises(DataError, match="two or more of each"):
        train([Labelled("circle", "geometry", "high")] * 5)


def test_the_command_writes_a_classifier(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra curate-train")
    rows = [("Find the circle.", "Geometry", "Level 1"), ("Find the sum.", "Algebra", "Level 5")]
    lines = [
        json.dumps({"question": f"{text} {i}", "answer": "1", "subject": subject, "level": level})
        for i in range(4)
        for text, subject, level in rows
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "minireason.curate.classifier", str(tmp_path / "data.jsonl")]
    subprocess.run([*command, "--out", str(tmp_path / "c.npz")], check=True)
    assert load_classifier(tmp_path / "c.npz").domains == ("algebra", "geometry")


def test_carried_classifier_is_right_on_real_questions(data_folder):
    from minireason.problems.sources import load_questions

    questions = load_questions(str(data_folder / "benchmarks" / "math500.jsonl"))
    rows = [labelled(q) for q in questions if q.domain != "Prealgebra"]
    predicted = carried_classifier().predict([row.text for row in rows])
    right = sum(
        domain.label == row.domain for (domain, _), row in zip(predicted, rows, strict=True)
    )
    assert right >= 0.8 * len(rows)
