"""Arithmetic out of text from a stranger: parsed, never evaluated, and bounded."""

import ast
import math
import operator
from collections.abc import Callable

MAX_LENGTH = 200

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def calculate(expression: str) -> str:
    """The value of an expression of numbers, `+ - * / **` and brackets, in twelve digits.

    Raises ValueError for anything else, and for what has no finite value.
    """
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"an expression has at most {MAX_LENGTH} characters")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("that is no arithmetic") from None
    except ArithmeticError as error:
        raise ValueError(f"that has no value: {error}") from None
    if not math.isfinite(value):
        raise ValueError("that is too large")
    return f"{value:.12g}"


def _value(node: ast.expr) -> float:
    # All in doubles, so that no power grows for ever.
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(operand))
    raise ValueError("only numbers, + - * / ** and brackets are known")
