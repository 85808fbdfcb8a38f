"""One spelling for each answer: LaTeX, Unicode and plain text brought to the same LaTeX string.

The result is meant for comparison and for the symbolic parser, not for display. Every rule is a
linear pass; nothing here evaluates anything.
"""

from __future__ import annotations

import re

from minireason.conventions import Conventions

_CHARACTERS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "‐": "-", "﹣": "-", "×": r"\times ", "⋅": r"\cdot ",
        "·": r"\cdot ", "∙": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "√": r"\sqrt ",
        "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "∞": r"\infty ",
        "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ",
        "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^\circ ",
        "²": "^2", "³": "^3", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "，": ",", "（": "(", "）": ")", "：": ":", "；": ";", "％": "%", "＝": "=", "。": ".",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2003": " ", "\u200b": "", "\ufeff": "",
        "€": "", "£": "", "¥": "", "₹": "", "\x00": "", "\t": " ", "\n": " ", "\r": " ",
    }
)  # fmt: skip

_COMMANDS = {
    "dfrac": r"\frac", "tfrac": r"\frac", "cfrac": r"\frac", "dbinom": r"\binom",
    "tbinom": r"\binom", "ge": r"\geq ", "geqslant": r"\geq ", "le": r"\leq ",
    "leqslant": r"\leq ", "ne": r"\neq ", "lt": "<", "gt": ">", "lbrace": r"\{", "rbrace": r"\}",
    "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "land": ",", "lor": ",",
    "cdot": "*", "times": "*", "ast": "*", "div": "/", "degree": r"^\circ ", "percent": "%",
    "left": "", "right": "", "big": "", "Big": "", "bigg": "", "Bigg": "", "bigl": "", "bigr": "",
    "displaystyle": "", "textstyle": "", "limits": "", "quad": " ", "qquad": " ", "thinspace": " ",
    "hspace": " ", "ldots": "...", "dots": "...", "cdots": "...", "boxed": "", "fbox": "",
}  # fmt: skip

_UNITS = (
    r"(?:square|cubic|sq\.?|cu\.?)?\s*(?:units?|degrees?|radians?|rad|dollars?|cents?|euros?|yuan|"
    r"pounds?|miles?|mi|mph|kilomet(?:er|re)s?|km|met(?:er|re)s?|centimet(?:er|re)s?|cm|"
    r"millimet(?:er|re)s?|mm|inch(?:es)?|in|feet|foot|ft|yards?|yd|kilograms?|kg|grams?|"
    r"lit(?:er|re)s?|m[lL]|kJ|kcal|k?Pa|k?Hz|[kMG]?eV|nm|joules?|watts?|newtons?|volts?|moles?|mol|"
    r"microns?|parsecs?|gallons?|lbs?|oz|tons?|seconds?|sec|minutes?|min|hours?|hrs?|days?|weeks?|months?|years?|"
    r"(?<= )[mgsh]|people|students?|ways|times|points?|terms?|integers?|solutions?)"
    r"(?:\s*(?:/|per)\s*(?:second|minute|hour|day|week|s|h|hr))?"
)
_TEXT = r"\\(?:text\w*|mathrm|mathbf|mathit|mathsf|mbox|hbox|operatorname\*?|rm|bf)\s*\{([^{}]*)\}"

_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_ZERO_WORD = re.compile(r"\b(?:no|none|nothing|never|empty|nobody)\b")
_NUMBER_WORD = re.compile(
    r"\b(?:half|third|quarter|dozen|hundred|thousand|[bm]illion|\w+teen|once|twice|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|" + "|".join(_NUMBER_WORDS) + r")\b"
)

_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_RUN_TOGETHER = re.compile(
    r"\\(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|"
    r"psi|omega)(?=[a-zA-Z]{1,2}(?![a-zA-Z]))"
)
_ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_NUMBER_OF_DEGREES = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*\^\{?\s*\\circ\s*\}?")
_SPACING = re.compile(r"\\[,;:! ]|~")
_DELIMITERS = re.compile(r"\\[()\[\]]|\\?\$")
_CONNECTIVE = re.compile(
    _TEXT.replace("[^{}]*", r"\s*,?\s*(?:and|or)\s*") + r"|(?<![\\a-zA-Z])(?:and|or)\b"
)
_TRAILING_TEXT = re.compile(
    r"(?<=[\d})%])\s*(?!\\\w+\s*\{\s*[ap]\.?m)"
    + _TEXT
    + r"(?:\s*(?:\^\{?-?\d\}?)?\s*[/*]?\s*"
    + _TEXT
    + r")*\s*(?:\^\{?-?\d\}?)?\s*$"
)
_TRAILING_UNIT = re.compile(r"(?<=[\d})])\s*" + _UNITS + r"\s*(?:\^\{?[23]\}?)?\s*$")
_TRAILING_WORDS = re.compile(r"(?<=[\d})]) (?:[a-z]{4,}|per|of)(?: [a-z]+)*$", re.IGNORECASE)
_VALUE_WORD = re.compile(
    r"factorial|squared|cubed|root|plus|minus|times|over|divided|less|more|least|most|modulo|base|"
    r"theta|alpha|beta|percent|choose|mod\b|power|infin|except|than"
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?<=[\d}) ])(?:percent(?:age)?|pct)\b)")
_DEGREES = re.compile(r"\^\{?\s*\\circ\s*\}?")
_BARE_FRAC = re.compile(r"\\frac\s*(\d|\{[^{}]*\}|\\pi)\s*(\d|[a-z]|\{[^{}]*\}|\\pi)")
_BARE_SQRT = re.compile(r"\\sqrt\s*(\d+|[a-z]|\\pi)")
_PLAIN_SQRT = re.compile(r"(?:(?<![\\a-zA-Z])sqrt|\\sqrt)\s*\(([^()]*)\)")
_PLAIN_NAME = re.compile(r"(?<![\\a-zA-Z])(pi|infinity|inf|oo|theta)(?![a-zA-Z])")
_POWER_GROUP = re.compile(r"\^\(([^()]*)\)")
_POWER_NUMBER = re.compile(r"\^(-?\d+)")
_POWER_FRAC = re.compile(r"\^(\\frac\{[^{}]*\}\{[^{}]*\})")
_LETTER_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\^)")
_SHORT_BRACES = re.compile(r"([\^_])\{(\w)\}")
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\s?\d{3})+)(?![\d,])")
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_WORD_SPACE = re.compile(r"(\\[a-zA-Z]+) +(?=[a-zA-Z])| +")
_MIXED = re.compile(r"(?<![\d.}^_/*])(\d+)\s+(\d+)\s*/\s*(\d+)(?!\d)")
_PLAIN_NAMES = {"pi": r"\pi", "theta": r"\theta"}


def plain_text(answer: str) -> str:
    """The words of an answer without markup, folded for comparison."""
    text = _DELIMITERS.sub(" ", answer.translate(_CHARACTERS))
    text = re.sub(_TEXT, r" \1 ", text)
    return " ".join(_SPACING.sub(" ", text).strip(" .*{}").casefold().split())


def names_number(words: str) -> bool:
    """Whether folded words may say a number: `twenty-one`, `half a dozen`."""
    return bool(_NUMBER_WORD.search(words))


def names_zero(words: str) -> bool:
    """Whether folded words may say zero: `none`, `no solution`."""
    return bool(_ZERO_WORD.search(words))


def normalize(answer: str, conventions: Conventions | None = None, kind: str = "") -> str:
    """The canonical spelling of an answer; `kind` is the question's answer kind, if known."""
    conventions = conventions or Conventions()
    text = _tokens(answer)
    text = _words(text, conventions)
    text = _numbers(text, conventions.thousands_separators and kind != "tuple")
    text = _braces(text)
    return _WORD_SPACE.sub(lambda m: f"{m[1]} " if m[1] else "", text).strip()


def _tokens(answer: str) -> str:
    text = re.sub(r" +", " ", answer.translate(_CHARACTERS)).strip()
    if text.casefold() in _NUMBER_WORDS:
        return str(_NUMBER_WORDS.index(text.casefold()))
    whole = re.fullmatch(_TEXT, text)
    text = whole[1].strip() if whole else text
    if text.startswith("**") and text.endswith("**"):
        text = text.strip("*")
    if "\\\\" in text and "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text)
    text = _DELIMITERS.sub(" ", text)
    text = text.replace("**", "^").replace("{,}", ",").replace(r"\%", "%")
    text = _SPACING.sub(" ", text) if "\\begin" not in text else text
    text = _RUN_TOGETHER.sub(r"\\\1 ", text)
    text = _COMMAND.sub(lambda m: _COMMANDS.get(m[1], m[0]), text)
    for plain, latex in ((">=", r"\geq "), ("<=", r"\leq "), ("!=", r"\neq ")):
        text = text.replace(plain, latex)
    return re.sub(r" +", " ", text).lstrip().rstrip("\\.,;: ")


def _words(text: str, conventions: Conventions) -> str:
    text = _CONNECTIVE.sub(",", text)
    text = re.sub(r",\s*(?:,\s*)+", ",", text)
    text = _PERCENT.sub("%", text)
    if conventions.units_optional:
        text = _TRAILING_TEXT.sub("", text)
        unit = _TRAILING_UNIT.search(text) or _trailing_words(text)
        if unit and not re.search("[a-zA-Z]", _COMMAND.sub("", text[: unit.start()])):
            text = text[: unit.start()]
    text = re.sub(_TEXT, r" \1 ", text)
    if _ANGLE_FUNCTION.search(text):
        text = _NUMBER_OF_DEGREES.sub(r"\\frac{\1\\pi}{180}", text)
    text = _DEGREES.sub("", text)
    text = _PLAIN_NAME.sub(lambda m: _PLAIN_NAMES.get(m[1], r"\infty") + " ", text)
    return re.sub(r"(?<![\w)}])\+\s*(?=\\infty)", "", text).strip()


def _trailing_words(text: str) -> re.Match[str] | None:
    """What is counted, `17 apples`, unless the words may change the number."""
    words = _TRAILING_WORDS.search(text)
    folded = words[0].casefold() if words else ""
    return None if _VALUE_WORD.search(folded) or names_number(folded) else words


def _numbers(text: str, thousands: bool) -> str:
    text = _LETTER_TIMES.sub("*", re.sub(r" +", " ", text))
    if thousands:
        text = _THOUSANDS.sub(lambda m: re.sub(r"[,\s]", "", m[1]), text)
        if _SPACED_THOUSANDS.fullmatch(text):
            text = text.replace(" ", "")
    return _MIXED.sub(r"\1\\frac{\2}{\3}", text)


def _braces(text: str) -> str:
    text = _BARE_FRAC.sub(lambda m: rf"\frac{_braced(m[1])}{_braced(m[2])}", text)
    text = _PLAIN_SQRT.sub(r"\\sqrt{\1}", text)
    text = _BARE_SQRT.sub(r"\\sqrt{\1}", text)
    text = _POWER_GROUP.sub(r"^{\1}", text)
    text = _POWER_FRAC.sub(r"^{\1}", text)
    text = _POWER_NUMBER.sub(r"^{\1}", text)
    return _SHORT_BRACES.sub(r"\1\2", text)


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else f"{{{argument}}}"
