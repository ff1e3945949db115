"""A small arithmetic language, read from data and never executed as code.

It is what the bias formulas inside Lite files are written in, IDL-like: ``A>B`` is the larger and ``A<B`` the
smaller of the two, at the rank of ``+`` and ``-``; ``^`` is a power; names are any case; the functions are
sqrt, exp, log (natural; also alog), log10 (also alog10), abs, min and max.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError, nearest

__all__ = [
    "Binary",
    "Call",
    "FormulaTerm",
    "Name",
    "Node",
    "Number",
    "evaluate",
    "names",
    "parse",
    "terms",
    "unparse",
]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<op>[-+*/^()<>,]))"
)
_LONGEST = 4000  # characters; the longest formula seen has 200
_DEEPEST = 60  # brackets


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """A variable, as written."""

    name: str


@dataclass(frozen=True)
class Binary:
    """Two operands; `op` is one of ``+ - * / ^ > <``."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function of one or two operands."""

    function: str
    arguments: tuple[Node, ...]


Node = Number | Name | Binary | Call

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    ">": np.maximum,
    "<": np.minimum,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "sqrt": (1, np.sqrt),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "alog": (1, np.log),
    "log10": (1, np.log10),
    "alog10": (1, np.log10),
    "abs": (1, np.abs),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
}


class _Parser:
    """Recursive descent: sum > product > power > atom."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.text = text
        self.tokens = list(self._tokens())
        self.place = 0
        self.depth = 0

    def _tokens(self) -> Iterator[tuple[str, str]]:
        if len(self.text) > _LONGEST:
            raise self.error(f"longer than {_LONGEST} characters")
        place = 0
        text = self.text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if not match:
                raise self.error(f"cannot be read from {text[place : place + 20]!r} on")
            yield str(match.lastgroup), match[str(match.lastgroup)]
            place = match.end()

    def error(self, why: str) -> FormatError:
        shown = self.text if len(self.text) <= 120 else self.text[:117] + "…"
        return FormatError(f"{self.where}: formula {shown!r}: {why}")

    def peek(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    def take(self, expected: str = "") -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise self.error(f"ends where {expected or 'a value'!r} is expected")
        token = self.tokens[self.place]
        if expected and token[1] != expected:
            raise self.error(f"{expected!r} expected, found {token[1]!r}")
        self.place += 1
        return token

    def sum(self) -> Node:
        left = self.product()
        while self.peek() in ("+", "-", ">", "<"):
            op = self.take()[1]
            left = Binary(op, left, self.product())
        return left

    def product(self) -> Node:
        left = self.signed()
        while self.peek() in ("*", "/"):
            op = self.take()[1]
            left = Binary(op, left, self.signed())
        return left

    def signed(self) -> Node:
        if self.peek() in ("+", "-"):
            sign = self.take()[1]
            self.deeper()
            inner = self.signed()
            self.depth -= 1
            if sign == "+":
                return inner
            return Number(-inner.value) if isinstance(inner, Number) else Binary("*", Number(-1.0), inner)
        return self.power()

    def power(self) -> Node:
        left = self.atom()
        if self.peek() == "^":
            self.take()
            self.deeper()
            left = Binary("^", left, self.signed())
            self.depth -= 1
        return left

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} levels deep")

    def atom(self) -> Node:
        kind, text = self.take()
        if kind == "number":
            return Number(float(text.lower().replace("d", "e")))
        if text == "(":
            self.deeper()
            inner = self.sum()
            self.depth -= 1
            self.take(")")
            return inner
        if kind != "name":
            raise self.error(f"a value expected, found {text!r}")
        if self.peek() != "(":
            return Name(text)
        if text.lower() not in _FUNCTIONS:
            raise self.error(f"unknown function {text!r}{nearest(text.lower(), _FUNCTIONS)}")
        self.take("(")
        self.deeper()
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.depth -= 1
        self.take(")")
        wanted = _FUNCTIONS[text.lower()][0]
        if len(arguments) != wanted:
            raise self.error(
                f"{text} takes {wanted} argument{'s' if wanted > 1 else ''}, found {len(arguments)}"
            )
        return Call(text.lower(), tuple(arguments))


def parse(text: str, where: str = "expression", *, unit: bool = False) -> Node:
    """Parse an expression.

    Parameters
    ----------
    text : str
        E.g. ``"XCO2_Raw + 0.0236*(co2_grad_del - 25.0) + 41.4*(eof3_3>0.)"``.
    where : str
        File and attribute, for error texts.
    unit : bool
        A bare name after the end, such as ``ppm``, is a unit and left out.

    Returns
    -------
    Node
        Its tree.

    Raises
    ------
    FormatError
        The text is not of this language; the error shows where it stops making sense.
    """
    parser = _Parser(text, where)
    tree = parser.sum()
    left = parser.tokens[parser.place :]
    if left and not (unit and len(left) == 1 and left[0][0] == "name"):
        raise parser.error(f"cannot be read from {left[0][1]!r} on")
    return tree


def names(tree: Node) -> list[str]:
    """Return the variables of an expression, each once, in order of appearance."""
    if isinstance(tree, Name):
        return [tree.name]
    if isinstance(tree, Number):
        return []
    parts = (tree.left, tree.right) if isinstance(tree, Binary) else tree.arguments
    return list(dict.fromkeys(n for part in parts for n in names(part)))


def evaluate(tree: Node, lookup: Callable[[str], Any], precision: type[np.floating] = np.float64) -> Any:
    """Evaluate an expression.

    Parameters
    ----------
    tree : Node
        From `parse`.
    lookup : callable
        Returns the array or number of a name.
    precision : type
        ``numpy.float64`` or ``numpy.float32``: of every operand, constant and result.

    Returns
    -------
    ndarray or scalar of that type
        NaN where an operand is NaN or a function is undefined; no warning is raised for these.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _evaluate(tree, lookup, precision)


def _evaluate(tree: Node, lookup: Callable[[str], Any], precision: type[np.floating]) -> Any:
    if isinstance(tree, Number):
        return precision(tree.value)
    if isinstance(tree, Name):
        return np.asarray(lookup(tree.name), dtype=precision)
    if isinstance(tree, Binary):
        left, right = (_evaluate(t, lookup, precision) for t in (tree.left, tree.right))
        return _OPERATIONS[tree.op](left, right)
    return _FUNCTIONS[tree.function][1](*(_evaluate(a, lookup, precision) for a in tree.arguments))


_RANK = {"+": 1, "-": 1, ">": 1, "<": 1, "*": 2, "/": 2, "^": 3}


def unparse(tree: Node) -> str:
    """Write an expression as text that parses to the same tree."""
    if isinstance(tree, Number):
        return repr(tree.value)
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Call):
        return f"{tree.function}({', '.join(unparse(a) for a in tree.arguments)})"
    rank = _RANK[tree.op]
    left, right = unparse(tree.left), unparse(tree.right)
    # All operations of one rank are read from the left; a power takes an atom on its left.
    if _rank(tree.left) < rank + (tree.op == "^"):
        left = f"({left})"
    if _rank(tree.right) <= rank:
        right = f"({right})"
    return f"{left} {tree.op} {right}"


def _rank(tree: Node) -> int:
    if isinstance(tree, Binary):
        return _RANK[tree.op]
    return 0 if isinstance(tree, Number) and (tree.value < 0 or "e" in repr(tree.value)) else 4


@dataclass(frozen=True)
class FormulaTerm:
    """One summand of a sum: a coefficient and what it multiplies (None for a constant)."""

    coefficient: float
    factor: Node | None


def terms(tree: Node) -> tuple[list[FormulaTerm], float]:
    """Split an expression into summands and the number the whole is divided by.

    Parameters
    ----------
    tree : Node
        E.g. of ``(raw + 0.9*(a + 1) - b)/0.9954``.

    Returns
    -------
    list of FormulaTerm, float
        ``[(1, raw), (0.9, a + 1), (-1, b)]`` and 0.9954; the divisor is 1 where there is none.
    """
    if isinstance(tree, Binary) and tree.op == "/" and isinstance(tree.right, Number):
        return _summands(tree.left, 1.0), tree.right.value
    return _summands(tree, 1.0), 1.0


def _summands(tree: Node, sign: float) -> list[FormulaTerm]:
    if isinstance(tree, Number):
        return [FormulaTerm(sign * tree.value, None)]
    if isinstance(tree, Binary) and tree.op in "+-":
        return _summands(tree.left, sign) + _summands(tree.right, sign if tree.op == "+" else -sign)
    if isinstance(tree, Binary) and tree.op == "*":
        for number, other in ((tree.left, tree.right), (tree.right, tree.left)):
            if isinstance(number, Number):
                return [FormulaTerm(sign * number.value, other)]
    return [FormulaTerm(sign, tree)]
