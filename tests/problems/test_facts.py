"""Pre-training text: the same notation as the solutions, and training questions only."""

from random import Random

from minireason.problems.facts import fact_text, tokenizer_corpus


def test_facts_are_deterministic_lines_of_every_kind() -> None:
    text = "\n".join(fact_text(Random(seed)) for seed in range(300))
    assert fact_text(Random(5)) == fact_text(Random(5))
    assert all(line.count("=") == 1 for line in text.split("\n"))
    assert all(mark in text for mark in ("+", "-", "*", "/", "^2=", "sqrt(", "*(-"))


def test_solutions_write_their_steps_as_the_facts_do() -> None:
    facts = {line for seed in range(15000) for line in fact_text(Random(seed)).split("\n")}
    assert {"7*8=56", "56/8=7", "12^2=144", "sqrt(81)=9", "17=5*3+2", "48=16*3"} <= facts


def test_tokenizer_corpus_is_deterministic_and_holds_all_styles() -> None:
    corpus = list(tokenizer_corpus(60, 1))
    assert corpus == list(tokenizer_corpus(60, 1))
    assert len(corpus) == 240
    assert sum("\\boxed{" in text for text in corpus) == 60
