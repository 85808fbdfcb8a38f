"""Texts that show whether llama.cpp tokenises as the model's own tokenizer does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from minireason.edge.llama_library import library, load_model

MATHS = (
    "Find all x with 3x^2 - 12x + 7 = 0, where 0 <= x < 10.",
    "1 22 333 4444 55555 1234567890 3.14159 1,000,000 -7/12 2^10 10% #5 $3.50 0x1F",
    r"\begin{align*} \frac{1}{2} + \sqrt[3]{8} &= \left( \sum_{i=1}^n i^2 \right) \\ \end{align*}",
    r"The answer is \boxed{\frac{17}{42}}. $$\int_0^\infty e^{-x^2}\,dx = \tfrac{\sqrt\pi}{2}$$",
    "I've said it's John's, we'll see; THEY'RE sure, I'M not, she'd go, don't 'quote' me",
    "<think>\nOkay, let's see.\n\nWait, no.\n</think>\n\n**Answer:** 42\n",
    "    four spaces\n\tand a tab \n \n\n\n  three  spaces   inside    here\t\t\tends\n\n",
    "trailing spaces   ",
    " ",
    "\n\n\n",
    "a\r\nb\r\n\r\nc",
    "def f(x):\n    return x**2 if x != 0 else None  # comment\n\nprint(f(3), [1, 2, 3])\n",
    "CamelCaseWord mixedUP lower_snake ALLCAPS aB cD iPhone15Pro",
    "x≤y, α+β=γ, ∑∫√∞≠±×÷→∈∪∩⊂ℝℕℤ, 90°, x², x₁, ½, π≈3.14…",
    "!!! ??? ... --- === *** ((())) [[]] {{}} <<>> ~~~ ```python\n```",
    "",
)
"""What a model that reasons reads and writes: these must come out the same."""

WORLD = (
    "Élève, naïve, Ångström, Straße, ÉCOLE, Œuvre, señor",
    "Привет, мир! Это 2024 год. ВСЕГДА",
    "数学题：求解方程 x²=4。答案是２。",
    "こんにちは、カタカナと漢字です。한국어 문장입니다.",
    "مرحبا بالعالم ١٢٣ שלום עולם",
    "हिन्दी में गणित १२३ ไทยภาษา ខ្មែរ",
    "e\u0301 and \u00e9, A\u030a and \u00c5",
    "🚀🙂 👩‍👩‍👧 🇩🇪 ✅️ 🦙🦙",
    "\u00a0no-break\u2003em\u200bzero\u3000ideographic\ufeff",
)
"""Other scripts, marks and emoji: where llama.cpp's rules come close only, it is said."""


def differences(file: Path, source: Path) -> tuple[list[str], list[str]]:
    """Those of MATHS, and those of WORLD, that llama.cpp tokenises in another way.

    Every special token is tried too: with the first alone and within words, with the second among
    white space. Raises MissingError for a file
    that llama.cpp does not load.
    """
    tokenizer: Any = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    added = [each.content for each in tokenizer.get_added_tokens_decoder().values()]
    texts = [*MATHS, *(form for each in added for form in (each, f"a{each}b1{each}{each}\\c"))]
    told = [*WORLD, *(f"a {each}\n b" for each in added)]  # llama.cpp knows no lstrip, no rstrip
    with_rules = [(text, True) for text in texts] + [(text, False) for text in told]
    different: dict[bool, list[str]] = {True: [], False: []}
    ours = (tokenizer.encode(text, add_special_tokens=False).ids for text, _ in with_rules)
    theirs = llama_ids(file, [text for text, _ in with_rules])
    for (text, must_equal), expected, got in zip(with_rules, ours, theirs, strict=True):
        if expected != got:
            different[must_equal].append(text)
    return different[True], different[False]


def llama_ids(file: Path, texts: list[str]) -> Iterator[list[int]]:
    """The token ids llama.cpp makes of each text, special tokens recognised, none put before."""
    model = load_model(file, vocab_only=True)
    try:
        vocab = library.llama_model_get_vocab(model)
        for text in texts:
            data = text.encode()
            ids = (library.llama_token * (len(data) + 1))()  # a token is at least a byte
            count = library.llama_tokenize(vocab, data, len(data), ids, len(ids), False, True)
            yield ids[:count]
    finally:
        library.llama_model_free(model)
