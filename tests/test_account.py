from minireason.account import account_lines, accounts

COUNTS = {
    "in": 10,
    "out": 7,
    "dropped: truncated": 1,
    "dropped: incorrect": 2,
    "dropped: never": 0,
    "tokens in": 1000,
    "tokens out": 800,
    "tokens dropped: truncated": 50,
    "tokens dropped: incorrect": 150,
    "sft in": 7,
    "sft out": 3,
    "sft dropped: over the size": 4,
    "by rational": 5,
    "tokens": 9,
}


def test_each_set_has_its_account_and_the_rest_stands_alone():
    (own, sft), others = accounts(COUNTS)
    assert (own.rows_in, own.rows_out, own.tokens_in, own.tokens_out) == (10, 7, 1000, 800)
    assert own.reasons == [("incorrect", 2, 150), ("truncated", 1, 50)]
    assert (sft.name, sft.rows_in, sft.tokens_in) == ("sft", 7, None)
    assert sft.reasons == [("over the size", 4, None)]
    assert others == {"by rational": 5, "tokens": 9}


def test_the_terminal_gets_a_line_a_set_and_one_a_reason():
    assert account_lines(COUNTS) == [
        "in 10 (1,000 tokens), out 7 (800 tokens), by rational 5, tokens 9",
        "    − 2 (150 tokens)  incorrect",
        "    − 1 (50 tokens)  truncated",
        "  sft: in 7, out 3",
        "    − 4  over the size",
    ]
