"""Sizes in a graph: numbers, or expressions in symbols such as `Symbol('s0', positive=True, integer=True)`.

torch reads such expressions by evaluating them as Python. Here Python's parser alone reads them, and nothing is
evaluated: only numbers, symbols, sums and products are taken, infix or as sympy prints them (`Mul(Integer(4),
Symbol(…))`). The result must be linear in one symbol.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from typing import Any

from dpk_core.exported.archive import Refused
from dpk_core.exported.program import Side

_SYMBOL = re.compile(r"[a-z]\w{0,19}")
_LONGEST = 400
_LARGEST = 10**18

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
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        raise Refused("one of its sizes is no text of an expression")
    try:
        return _linear(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise Refused(
            f"a size in it is the expression {text[:80]!r}; sizes are numbers, one symbol, and their sums and products"
        ) from None


def _linear(node: ast.expr) -> Linear:
    """An expression's tree as symbol, factor and offset. Raises ValueError for everything else."""
    match node:
        case ast.Constant(value=int(number)) if type(number) is int and number < _LARGEST:
            return None, 0, number
        case ast.Call(
            func=ast.Name(id="Integer"),
            args=[ast.Constant() | ast.UnaryOp(operand=ast.Constant()) as number],
            keywords=[],
        ):
            return _linear(number)
        case ast.Call(
            func=ast.Name(id="Symbol"),
            args=[ast.Constant(value=str(symbol))],
            keywords=[
                ast.keyword(arg="positive", value=ast.Constant(value=True)),
                ast.keyword(arg="integer", value=ast.Constant(value=True)),
            ],
        ) if _SYMBOL.fullmatch(symbol):
            return symbol, 1, 0
        case ast.Call(func=ast.Name(id="Mul"), args=[_, *_] as factors, keywords=[]):
            return functools.reduce(_times, map(_linear, factors))
        case ast.Call(func=ast.Name(id="Add"), args=[_, *_] as terms, keywords=[]):
            return functools.reduce(_added, map(_linear, terms))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _times(_linear(left), _linear(right))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _added(_linear(left), _linear(right))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _added(_linear(left), _times(_linear(right), (None, 0, -1)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _times(_linear(operand), (None, 0, -1))
    raise ValueError


def _added(left: Linear, right: Linear) -> Linear:
    if None not in (left[0], right[0]) and left[0] != right[0]:
        raise ValueError
    return left[0] or right[0], left[1] + right[1], left[2] + right[2]


def _times(left: Linear, right: Linear) -> Linear:
    if None not in (left[0], right[0]):
        raise ValueError
    (symbol, factor, offset), number = (left, right[2]) if right[0] is None else (right, left[2])
    return symbol, factor * number, offset * number
