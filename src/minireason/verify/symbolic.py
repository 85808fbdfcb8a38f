"""The inside of a guarded worker: compares expressions with math-verify until its input ends.

Runs as a process of its own (see `worker`). One request a line on stdin, one reply a line on the
original stdout, both JSON. Three guards are set here, the parent holds the fourth (SIGKILL): the
memory cap, an alarm whose default action ends the process even while the interpreter is stuck in
one long multiplication and the parent is gone, and a reading loop that ends with the parent.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
from dataclasses import asdict
from typing import Any

from minireason.conventions import Conventions
from minireason.verify.equivalence import Comparison, compare
from minireason.verify.matcher import UnreadableError

_ALARM_MARGIN_S = 1.0
_IDLE_CHECK_S = 5.0


def equal_expressions(reference: str, answer: str, places: int) -> bool:
    """Whether math-verify finds two LaTeX expressions equal. Unguarded: call it in a worker only.

    Only the LaTeX grammar reads the strings, never Python's. Raises `UnreadableError`.
    """
    from math_verify import verify

    gold, given = _parse("reference", reference), _parse("answer", answer)
    is_equal = verify(
        gold,
        given,
        float_rounding=places,
        allow_set_relation_comp=True,
        timeout_seconds=None,
        raise_on_error=True,
    )
    if not is_equal:
        _evaluate([*gold, *given])
    return is_equal


def _normalization() -> Any:
    """math-verify's own clean-up without its units: `5am` is not `5pm`, `3m` is not `3`."""
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig

    return NormalizationConfig(
        basic_latex=True,
        units=False,
        malformed_operators=True,
        nits=True,
        boxed="none",
        equations=False,
    )


def _evaluate(expressions: list[Any]) -> None:
    """Let a lack of memory or stack show: math-verify takes either for a difference."""
    for expression in expressions:
        try:
            expression.doit()
        except (MemoryError, RecursionError):
            raise
        except Exception:
            continue


def _parse(name: str, latex: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    escaped = latex.replace("%", r"\%").replace("*", r"\cdot ")
    config = LatexExtractionConfig(boxed_match_priority=-1, normalization_config=_normalization())
    parsed = parse(f"${escaped}$", [config], fallback_mode="no_fallback", parsing_timeout=None)
    if not parsed:
        raise UnreadableError(f"the {name} cannot be read as an expression")
    return parsed


def decide(request: dict[str, Any]) -> Comparison:
    """The verdict on one request, whatever goes wrong; only this function catches everything."""
    conventions = Conventions(**request["conventions"])
    places = conventions.irrational_places
    try:
        decided = compare(
            request["reference"],
            request["answer"],
            request["kind"],
            conventions,
            lambda gold, given: equal_expressions(gold, given, places),
        )
    except MemoryError:
        return Comparison("unknown", "symbolic", "the comparison exceeded the memory limit")
    except RecursionError:
        return Comparison("unknown", "symbolic", "the expression is nested too deeply")
    except Exception as error:
        return Comparison("unknown", "symbolic", f"the comparison failed: {type(error).__name__}")
    return decided or Comparison("unknown", "symbolic", "no layer could decide")


def serve(memory_mb: int) -> None:
    """Answer requests until stdin ends or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.disable(logging.CRITICAL)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a stray print must not look like a reply
    _cap_memory(memory_mb)
    equal_expressions(r"2\sqrt{3}-x", r"\sqrt{12}-x", 12)  # loads and warms, on nobody's clock
    parent = os.getppid()
    print("ready", file=replies, flush=True)
    while line := _next_line(parent):
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["timeout_s"] + _ALARM_MARGIN_S)
        reply = decide(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(asdict(reply)), file=replies, flush=True)


def _cap_memory(memory_mb: int) -> None:
    import resource

    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _next_line(parent: int) -> bytes:
    while not select.select([0], [], [], _IDLE_CHECK_S)[0]:
        if os.getppid() != parent:
            return b""
    return sys.stdin.buffer.readline()
