"""Sizes in a graph: numbers, or expressions in symbols such as `Symbol('s0', positive=True, integer=True)`.

torch reads such expressions by evaluating them as Python. Here a small grammar is parsed by hand: numbers, symbols,
sums and products, infix or as sympy prints them (`Mul(Integer(4), Symbol(…))`); the result must be linear in one
symbol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dpk_core.exported.archive import Refused
from dpk_core.exported.program import Side

_TOKEN = re.compile(
    r"\s*(?:Symbol\('(?P<symbol>[a-z]\w{0,19})', positive=True, integer=True\)"
    r"|Integer\((?P<integer>-?\d{1,18})\)|(?P<number>\d{1,18})|(?P<word>Mul|Add)|(?P<sign>[-+*(),]))"
)
_LONGEST = 400

Linear = tuple[str | None, int, int]
"""A symbol, its factor and what is added to it; without a symbol the factor is 0."""


def side_of(size: Any, ranges: Mapping[str, Any]) -> Side:
    """The pictures' sides that a stated size allows. Raises Refused."""
    symbol, factor, offset = linear(size)
    if symbol is None:
        return Side(factor=0, offset=offset)
    if factor < 1:
        raise Refused("its pictures' size is no growing expression of a symbol")
    limits = ranges.get(symbol) or {}
    least, most = limits.get("min_val") or 0, limits.get("max_val")
    if type(least) is not int or not (most is None or type(most) is int):
        raise Refused(f"the range of its symbol {symbol} is no pair of numbers")
    return Side(factor=factor, offset=offset, least=max(least, 0), most=most)


def linear(size: Any) -> Linear:
    """A size of a graph (`{"as_int": 3}` or `{"as_expr": {"expr_str": …}}`) as symbol, factor and offset.

    Raises Refused for what is not in the grammar or not linear in one symbol.
    """
    if "as_int" in size:
        if type(size["as_int"]) is not int:
            raise Refused("one of its sizes is no whole number")
        return None, 0, size["as_int"]
    text = size["as_expr"]["expr_str"]
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise Refused("one of its sizes is no text of an expression")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[re.Match[str]] = []
        place = 0
        while place < len(text.rstrip()):
            token = _TOKEN.match(text, place)
            if token is None:
                raise self._refusal()
            self._tokens.append(token)
            place = token.end()
        self._at = 0

    def whole(self) -> Linear:
        found = self._sum()
        if self._at != len(self._tokens):
            raise self._refusal()
        return found

    def _refusal(self) -> Refused:
        return Refused(
            f"a size in it is the expression {self._text[:80]!r}; sizes are numbers, one symbol, and their sums and "
            "products"
        )

    def _sign(self, *signs: str) -> str | None:
        """Takes the next token where it is one of `signs`."""
        if self._at < len(self._tokens) and self._tokens[self._at]["sign"] in signs:
            self._at += 1
            return self._tokens[self._at - 1]["sign"]
        return None

    def _expect(self, sign: str) -> None:
        if self._sign(sign) is None:
            raise self._refusal()

    def _sum(self) -> Linear:
        found = self._product()
        while (sign := self._sign("+", "-")) is not None:
            found = self._added(found, self._times(self._product(), (None, 0, 1 if sign == "+" else -1)))
        return found

    def _product(self) -> Linear:
        found = self._atom()
        while self._sign("*") is not None:
            found = self._times(found, self._atom())
        return found

    def _atom(self) -> Linear:
        if self._sign("-") is not None:
            return self._times(self._atom(), (None, 0, -1))
        if self._sign("(") is not None:
            found = self._sum()
            self._expect(")")
            return found
        if self._at >= len(self._tokens):
            raise self._refusal()
        token = self._tokens[self._at]
        self._at += 1
        if token["symbol"] is not None:
            return token["symbol"], 1, 0
        if (number := token["integer"] or token["number"]) is not None:
            return None, 0, int(number)
        if token["word"] is None:
            raise self._refusal()
        return self._call(token["word"])

    def _call(self, word: str) -> Linear:
        self._expect("(")
        found = self._sum()
        while self._sign(",") is not None:
            other = self._sum()
            found = self._times(found, other) if word == "Mul" else self._added(found, other)
        self._expect(")")
        return found

    def _added(self, left: Linear, right: Linear) -> Linear:
        if None not in (left[0], right[0]) and left[0] != right[0]:
            raise self._refusal()
        return left[0] or right[0], left[1] + right[1], left[2] + right[2]

    def _times(self, left: Linear, right: Linear) -> Linear:
        if None not in (left[0], right[0]):
            raise self._refusal()
        (symbol, factor, offset), number = (left, right[2]) if right[0] is None else (right, left[2])
        return symbol, factor * number, offset * number
