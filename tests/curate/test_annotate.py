import pytest

from minireason.curate import annotate as module
from minireason.curate.annotate import annotate, domain_of, iter_annotated, level_of
from minireason.curate.classifier import Prediction
from minireason.problems.procedural import generate_questions
from minireason.records import DOMAINS, LEVELS, Question


def question(text="?", **known):
    return Question("q", text, "1", "t", **known)


class Sure:
    """A classifier that always says the same, as sure as told."""

    def __init__(self, probability):
        self.answer = Prediction("geometry", probability), Prediction("college", probability)

    def predict(self, texts):
        return [self.answer for _ in texts]


@pytest.fixture
def classifier(monkeypatch):
    return lambda p: monkeypatch.setattr(module, "carried_classifier", lambda: Sure(p))


def test_what_the_source_says_goes_first(classifier):
    classifier(1.0)
    [q] = annotate([question(domain="Number Theory", level="Level 1")])
    assert (q.domain, q.level) == ("number_theory", "middle")
    [q] = annotate([question(domain="organic chemistry", level="postdoc")])
    assert (q.domain, q.level) == ("organic chemistry", "postdoc")


@pytest.mark.parametrize("known", [{}, {"domain": "Prealgebra", "level": "Level ?"}])
def test_classifier_speaks_where_the_source_says_nothing(known, classifier):
    classifier(0.9)
    assert (domain_of(question(**known)), level_of(question(**known))) == ("geometry", "college")


def test_rules_speak_where_the_classifier_is_not_sure(classifier):
    classifier(0.3)
    unsure = question("Find the roots of the polynomial.", solution="One.\nTwo.\n")
    assert (domain_of(unsure), level_of(unsure)) == ("algebra", "elementary")
    assert (domain_of(question()), level_of(question())) == ("", "")


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("What is the area of a triangle with base 3 and height 4?", "geometry"),
        ("Two dice are thrown. What is the probability that both show 6?", "counting"),
        ("What is the remainder when 77 is divided by 5?", "number_theory"),
        ("Find the roots of the polynomial x^2 - 5x + 6.", "algebra"),
        ("Ann buys three pens for $2 each. How much does she pay in total?", "arithmetic"),
        ("Why?", ""),
    ],
)
def test_domain_is_read_from_the_text(text, domain):
    assert domain_of(question(text)) == domain


def test_a_question_is_annotated_alike_alone_and_among_others():
    texts = ["Find x if $x^2 = 4$.", "?", "How many ways are there to sit?", "", "Find the area."]
    questions = [question(text, solution="One.") for text in texts] * 900
    assert list(iter_annotated(iter(questions))) == [annotate([q])[0] for q in questions[:5]] * 900


def test_labels_of_procedural_questions_stay():
    questions = generate_questions(50, 0, "train")
    assert annotate(questions) == questions


def test_real_sets_get_a_domain_and_a_level(data_folder):
    from minireason.problems.sources import load_questions

    for name in ("problems/gsm8k_train", "benchmarks/math500", "benchmarks/olympiadbench"):
        for q in annotate(load_questions(str(data_folder / f"{name}.jsonl"), limit=300)):
            assert q.domain in DOMAINS and q.level in LEVELS
