import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify.extract import extract, extract_reference

TABLE = [
    (r"so \boxed{42}.", "42", "boxed"),
    (r"\boxed{1} no, \boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}", "boxed"),
    (r"\fbox{7}", "7", "boxed"),
    (r"\boxed 5 is it", "5", "boxed"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}", "boxed"),
    (r"\boxed{\boxed{5}}", "5", "boxed"),
    (r"$\boxed{-2} \quad \text{and} \quad \boxed{1}$", "-2, 1", "boxed"),
    (r"\boxed{5} then more, hence \boxed{6}", "6", "boxed"),
    (r"first \boxed{3}, then we find \boxed{4", "", "unclosed_box"),
    (r"\boxed{}", "", "boxed"),
    ("work\n#### 1,234\n", "1,234", "hashes"),
    ("#### 3\n#### 4", "4", "hashes"),
    ("The answer is 4.5.", "4.5", "phrase"),
    ("**Answer:** 12", "12", "phrase"),
    ("Final answer: $x=3$. I hope it is correct.", "$x=3$", "phrase"),
    ("The answer is 3\nActually, the final answer is 4", "4", "phrase"),
    ("The answer is 42 because geometry proves it", "42", "phrase"),
    ("Final Answer: The volume of $ABCD$ is 120. I hope it is correct.", "120", "phrase"),
    ("Answer:\n\n17", "17", "phrase"),
    ("The answer, therefore, is 7.", "7", "phrase"),
    ("The final answer to problem 2 is 7.", "7", "phrase"),
    ("He runs 540 meters\nA: 540", "540", "phrase"),
    ("The answer is 28 percent.", r"28\%", "phrase"),
    ("25", "25", "whole"),
    ("I could not find it, sorry.\n" * 30, "", "none"),
    ("", "", "none"),
]


@pytest.mark.parametrize(("response", "text", "rule"), TABLE)
def test_the_final_answer_is_found_and_the_rule_named(response, text, rule):
    found = extract(response)
    assert (found.text, found.rule) == (text, rule)


@pytest.mark.parametrize("marker", ["</think>", "<|end_of_thought|>"])
def test_only_the_text_after_thinking_counts(marker):
    assert extract(rf"<think>\boxed{{1}}{marker} The answer is 2.").text == "2"


def test_an_answer_inside_thinking_counts_when_none_follows():
    assert extract(r"<think>\boxed{1}</think>" + " done" * 200).text == "1"


def test_a_box_cut_off_after_thinking_is_not_replaced_by_an_earlier_one():
    assert extract(r"<think>\boxed{1}</think> so \boxed{2").rule == "unclosed_box"


@pytest.mark.parametrize(
    "response",
    ["Looks like (B)", "so\nB.", "so B) is right", r"\boxed{B}", r"\boxed{\text{(B)}}"],
)
def test_an_options_letter_is_found(response):
    assert "B" in extract(response, is_choice=True).text


def test_a_phrase_far_from_the_end_is_a_step_of_the_work_and_a_box_is_not():
    assert extract("The answer is 9.\n" + "thanks " * 5_000).rule == "none"
    assert extract("\\boxed{9}\n" + "thanks " * 5_000).text == "9"


@pytest.mark.parametrize("begin", ["<think>", "<|begin_of_thought|>"])
def test_thinking_that_does_not_end_has_no_answer(begin):
    assert extract(rf"{begin}so \boxed{{6}}. But").rule == "unfinished_thinking"
    assert extract("so \\boxed{6}. But").text == "6"


NO_PHRASES = [
    "However, this is not the correct answer, as it is too large.\nSo it goes on",
    "The answer is supposed to be in the form m/n.\nSo it goes on",
    "The answer should be in the form of a fraction.\nSo it goes on",
    "That is not the answer, but it is 12 anyway.\nSo it goes on",
    "So the answers are:\n- Coefficient of CO: 1\n- Coefficient of CO2: 2",
    "A: (0, 107)\nB: (3, 4)\nThese are the points",
    "I express the answer in that form even if c = 0\nSo it goes on",
    "#### Step 3: the sum\nWe add them up",
    "<|im_start|>system",
]


@pytest.mark.parametrize("response", NO_PHRASES)
def test_talk_of_an_answer_is_no_answer(response):
    assert extract(response).text == ""


def test_a_bare_number_after_hashes_counts_though_text_follows():
    assert extract("#### 72\n\nQuestion: what next?").text == "72"


@pytest.mark.parametrize(
    ("answer", "reference"),
    [(r"so $n = \boxed{1,-2}.$", "1,-2"), ("a\n#### 72", "72"), ("3/4", "3/4")],
)
def test_a_reference_may_carry_its_solution(answer, reference):
    assert extract_reference(answer) == reference


PIECES = [r"\boxed{", r"\boxed{1}, ", "boxed", "{", "}", "$", "answer", "answer is ", "A:\n"]
PIECES += ["####", "(A", "B\n", " ", "\n", "* ", "\\"]


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_of_anything_is_read_in_linear_time(piece):
    extract(piece * (1_000_000 // len(piece)), is_choice=True)


@given(
    st.text(alphabet=st.sampled_from(list("\\{}$() \n.=:#AB15")) | st.characters(), max_size=300)
)
def test_extraction_never_fails(text):
    extract(text)
    extract("</think>" + text + "\\boxed{" + text, is_choice=True)


@pytest.mark.parametrize(
    ("response", "answer", "rule"),
    [
        ("First 3, then 4.\nTherefore she has 12 apples.", "12", "number"),
        ("Adding up, the error grows.\nIt increases by 100%.", "100%", "number"),
        ("We solve.\nHence $x = \\frac{1}{2}$.", "x = \\frac{1}{2}", "number"),
        ("We solve $y=7$.\nThere were 1,250 of them", "1,250", "number"),
        ("not 10 but 1,000.99 m", "1,000.99", "number"),
        ("so\nThe answer is 5. Check: 2+3=5, and 1 more is 6", "5", "phrase"),
        ("\\sqrt{3} or -\\sqrt{3}", "\\sqrt{3} or -\\sqrt{3}", "whole"),
        ("I cannot say.\nSorry.", "", "none"),
        ("it is 5, so \\boxed{", "", "unclosed_box"),
    ],
)
def test_unmarked_answers_are_the_last_number_if_asked(response, answer, rule):
    found = extract(response, unmarked=True)
    assert (found.text, found.rule) == (answer, rule)


def test_unmarked_answers_are_none_if_not_asked():
    assert extract("First 3, then 4.\nTherefore she has 12 apples.").rule == "none"


def test_a_lone_letter_counts_at_the_end_only():
    assert extract("We see:\nSo it is (B).", is_choice=True).text == "B"
    far = "Maybe (B)\n" + "but let us see what else holds here.\n" * 20
    assert extract(far, is_choice=True).rule == "none"
