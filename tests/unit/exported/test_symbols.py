"""Sizes in a graph as expressions: what is linear in one symbol is read, everything else is refused unevaluated."""

from __future__ import annotations

import pytest

from dpk_core.exported.archive import Refused
from dpk_core.exported.symbols import Linear, linear

S = "Symbol('s0', positive=True, integer=True)"
T = "Symbol('s1', positive=True, integer=True)"


def read(text: str) -> Linear:
    return linear({"as_expr": {"expr_str": text}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", (None, 0, 7)), ("Integer(-3)", (None, 0, -3)), (S, ("s0", 1, 0)), (f"-{S}", ("s0", -1, 0)),
        (f"Mul(Integer(4), {S})", ("s0", 4, 0)), (f"Add(Mul(2, {S}), -1, {S})", ("s0", 3, -1)),
        (f"Mul({S})", ("s0", 1, 0)), ("-" * 399 + "1", (None, 0, -1)),
        (f" 2*({S} + 3) - 1 ", ("s0", 2, 5)), (f"{S} - {S}", ("s0", 0, 0)), ("2*3 + 4", (None, 0, 10)),
    ],
)  # fmt: skip
def test_sums_and_products(text: str, expected: Linear) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "(", "1 2", "True", "1.5", "2**3", "7 // 2", "s0", "'s0'", f"{S} * {S}", f"{S} + {T}", "Mul()",
        f"Max({S}, 1)",
        "Symbol('s0')", "Symbol('s0', positive=True)", "Symbol('s0', integer=True, positive=True)",
        "Symbol('s0', positive=True, integer=1)", "Symbol('S0', positive=True, integer=True)",
        f"Symbol('{'s' * 21}', positive=True, integer=True)", "Integer('3')", f"Integer({S})", f"Integer(-{S})",
        "Integer(-(2*3))", "\N{FULLWIDTH LATIN CAPITAL LETTER M}ul(2, 3)", f"Mul(*[{S}])",
        f"Mul({S}, evaluate=False)", "__import__('os').system('true')", "[1][0]", "1 if 1 else 2", "10" * 15, "\0",
        "(" * 200 + "1" + ")" * 199, "1" * 401,
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"is the expression|is no text of an expression"):
        read(text)
