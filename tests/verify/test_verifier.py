"""Responses to verdicts, property tests, and the collected cases of other verifiers' tests."""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minireason.verify
from minireason.verify import Conventions, Decision, Verifier
from minireason.verify.extract import extract

CASES_FLOOR = 0.985


@pytest.fixture(scope="module")
def verifier():
    with Verifier(timeout_s=2.0) as verifier:
        yield verifier


@pytest.mark.parametrize(
    ("response", "answer", "kind", "verdict", "method"),
    [
        (r"so \boxed{\frac12}", "0.5", "", "correct", "rational"),
        ("I give up. " * 50, "5", "", "incorrect", "no_answer"),
        (r"\boxed{5", "5", "", "incorrect", "no_answer"),
        (r"\boxed{5}", "", "", "unknown", "input"),
        ("The answer is (B) 42.", "B", "choice", "correct", "choice"),
        ("The answer is C.", "B", "choice", "incorrect", "choice"),
        (r"<think>\boxed{4}</think> \boxed{5}", "4", "", "incorrect", "rational"),
        ("#### 72", "She sold 72.\n#### 72", "", "correct", "identical"),
        (r"\boxed{(1, 2)}", "(1,2)", "tuple", "correct", "normalized"),
    ],
)
def test_responses_get_their_verdicts(verifier, response, answer, kind, verdict, method):
    decision = verifier.verify(response, answer, kind)
    assert (decision.verdict, decision.method) == (verdict, method)


def test_a_missing_answer_says_why(verifier):
    assert verifier.verify(r"\boxed{5", "5").reason == "the final box is not closed"


def test_a_batch_keeps_its_order_and_decides_equal_answers_once(verifier, monkeypatch):
    seen = []
    run = verifier._pool.run
    monkeypatch.setattr(verifier._pool, "run", lambda tasks: seen.extend(tasks) or run(tasks))
    item = (r"so \boxed{\sqrt{5+2\sqrt{6}}}", r"\sqrt{2}+\sqrt{3}", "")
    decisions = verifier.verify_batch([item, ("#### 7", "8", ""), item, item])
    assert [d.verdict for d in decisions] == ["correct", "incorrect", "correct", "correct"]
    assert len(seen) == 1


def test_the_cheap_layers_too_decide_equal_answers_once(verifier, monkeypatch):
    from minireason.verify import verifier as module

    asked = []
    compare = module.compare
    monkeypatch.setattr(module, "compare", lambda *a: asked.append(a) or compare(*a))
    decisions = verifier.verify_batch([(r"\boxed{4}", "5", "")] * 3 + [(r"\boxed{6}", "5", "")])
    assert len(asked) == 2 and {d.verdict for d in decisions} == {"incorrect"}


def test_an_empty_batch_is_an_empty_list(verifier):
    assert verifier.verify_batch([]) == []


def test_the_module_has_a_verifier_of_its_own():
    expected = Decision("correct", "1/2", "rational")
    assert minireason.verify.verify(r"\boxed{1/2}", "0.5") == expected
    assert minireason.verify.verify_batch([(r"\boxed{1/2}", "0.5", "")]) == [expected]


@pytest.mark.parametrize("bad", [{"timeout_s": 0}, {"num_workers": 0}])
def test_limits_must_be_positive(bad):
    with pytest.raises(ValueError, match="must be more than 0"):
        Verifier(**bad)


def spellings(value):
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    yield f"{value}"
    yield rf"${sign}\dfrac{{{top}}}{{{bottom}}}$"
    yield rf"x = {sign}\frac{{{3 * top}}}{{{3 * bottom}}}"
    yield rf"\left( {sign}{top}/{bottom} \right)"


RATIONALS = st.fractions(min_value=-10_000, max_value=10_000, max_denominator=999)


@given(RATIONALS)
def test_every_spelling_of_a_rational_is_correct(value):
    with Verifier() as verifier:
        for spelling in spellings(value):
            assert verifier.verify(rf"\boxed{{{spelling}}}", str(value)).verdict == "correct"


@given(RATIONALS, st.fractions(max_denominator=999).filter(bool))
def test_a_perturbed_rational_is_incorrect(value, change):
    with Verifier() as verifier:
        for spelling in spellings(value + change):
            assert verifier.verify(rf"\boxed{{{spelling}}}", str(value)).verdict == "incorrect"


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True), st.randoms())
def test_a_set_has_no_order_and_a_tuple_has(values, random):
    shuffled = values[:]
    random.shuffle(shuffled)
    gold, given_list = (", ".join(map(str, v)) for v in (values, shuffled))
    with Verifier() as verifier:
        assert verifier.compare(given_list, rf"\{{{gold}\}}").verdict == "correct"
        is_same = "correct" if shuffled == values else "incorrect"
        assert verifier.compare(f"({given_list})", f"({gold})").verdict == is_same


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), answer=st.text(alphabet="\\frac{}()12,;x^=%$ ", max_size=20))
def test_no_text_raises(verifier, text, answer):
    for response in (text, rf"\boxed{{{text}}}", rf"\boxed{{{answer}}}"):
        assert verifier.verify(response, answer).verdict in ("correct", "incorrect", "unknown")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-999, max_value=999))
def test_a_decimal_equals_its_fraction_exactly(decimal):
    with Verifier() as verifier:
        assert verifier.compare(str(decimal), str(Fraction(decimal))).verdict == "correct"


@pytest.fixture(scope="module")
def lenient():
    """Unmarked answers count, as they do in the tests that the cases come from."""
    with Verifier(timeout_s=2.0, conventions=Conventions(unmarked_answers=True)) as opened:
        yield opened


def cases():
    folder = os.environ.get("MINIREASON_DATA")
    if not folder:
        pytest.skip("MINIREASON_DATA is not set: it names the folder with verifier/cases.jsonl")
    path = Path(folder) / "verifier" / "cases.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if not row["tool_specific"] and not row["suspect"]]


def decide(verifier, case):
    """A response is verified as one; a bare answer without a box or phrase is compared as such."""
    found = extract(case["pred"], unmarked=True)
    if case["kind"] == "response" or found.rule in ("boxed", "hashes", "phrase", "number"):
        return verifier.verify(case["pred"], case["gold"])
    return verifier.compare(found.text or case["pred"], case["gold"])


def test_the_collected_cases_of_other_verifiers_agree(lenient):
    rows = cases()
    wrong = []
    for case in rows:
        decision = decide(lenient, case)
        if (decision.verdict == "correct") != case["expected"]:
            wrong.append(f"{case['id']}: {case['gold'][-60:]!r} {case['pred'][-60:]!r} {decision}")
    accuracy = 1 - len(wrong) / len(rows)
    assert accuracy >= CASES_FLOOR, f"{accuracy:.3f} of {len(rows)}\n" + "\n".join(wrong)


def test_no_collected_wrong_answer_is_called_correct(lenient):
    rows = [case for case in cases() if not case["expected"]]
    accepted = [case["id"] for case in rows if decide(lenient, case).verdict == "correct"]
    assert accepted == []


def test_the_last_number_counts_only_where_that_is_the_convention(verifier, lenient):
    cut_off = "First 3 and then 4.\nThat makes 12 apples, and then"
    assert verifier.verify(cut_off, "12").method == "no_answer"
    assert lenient.verify(cut_off, "12").verdict == "correct"
