"""Mutants: the operators of cosmic-ray that change what a line decides, and one more, which leaves a call out."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from itertools import islice
from types import CodeType
from typing import Any, NamedTuple

import parso
from contender import ROOT
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator

ROOMS = ("_acquiring", "_deadlock", "_file", "_kinds", "_queue", "_run")
FILES = ("_holds.py", "_locks.py", "_modes.py", "_process.py", "_several.py")
"""What decides, waits, lets go or supervises, below pylock."""
_CHANGES = (
    *("AddNot", "ExceptionReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert"),
    *("ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add"),
    *(
        f"ReplaceComparisonOperator_{change}"
        for change in (
            *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
            *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt"),
        )
    ),
)
_FOR_TYPES_ALONE = ("TYPE_CHECKING", "@overload", "assert ")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class DropCall(Operator):
    """Leaves out a statement that is a call."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if node.type == "simple_stmt" and node.children[0].type == "atom_expr":
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        nothing = parso.parse("pass").children[0]
        nothing.prefix = node.children[0].get_first_leaf().prefix
        node.children[0] = nothing
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("tell()", "pass"),)


_OPERATORS: tuple[Operator, ...] = (*(get_operator(f"core/{name}")() for name in _CHANGES), DropCall())


class Mutant(NamedTuple):
    file: str
    """Below pylock."""
    lines: range
    """By which it is reached, from 1: those that are changed, or those to which what an import does there matters."""
    code: str
    """The whole file, mutated."""
    change: str
    """What it does, in a line: by this an explanation finds it, also where the file has changed elsewhere."""


def all_mutants() -> Iterator[Mutant]:
    """Each once: what Python reads as the code itself, or as another mutant's, is left out, and what it cannot read."""
    house = ROOT / "pylock"
    rooms = [path for room in ROOMS for path in sorted((house / room).glob("*.py"))]
    for path in (*rooms, *map(house.joinpath, FILES)):
        seen = {None, _meaning(path.read_text())}
        for mutant in _of_file(str(path.relative_to(house)), path.read_text()):
            meaning = _meaning(mutant.code)
            if meaning not in seen:
                seen.add(meaning)
                yield mutant


def _of_file(file: str, source: str) -> Iterator[Mutant]:
    lines = source.splitlines()
    functions = [each for each in ast.walk(ast.parse(source)) if isinstance(each, Function)]
    nodes = list(ast_nodes(get_ast(source)))
    for operator in _OPERATORS:
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, ((first, _), (last, _)) in enumerate(places):
            if not any(word in line for line in islice(lines, first - 1, last) for word in _FOR_TYPES_ALONE):
                code = mutate_code(source, operator, occurrence)
                assert code is not None
                reached = _reached(first, last, functions) or range(1, len(lines) + 1)
                yield Mutant(file, reached, code, _change(file, source, code))


def _reached(first: int, last: int, functions: list[Function]) -> range | None:
    """The lines themselves in a function, its body if they are its head; None if they are in none."""
    around = [each for each in functions if each.lineno <= first and last <= (each.end_lineno or 0)]
    if not around:
        return None
    inner = max(around, key=lambda each: each.lineno)
    begin = inner.body[0].lineno
    return range(first, last + 1) if first >= begin else range(begin, (inner.end_lineno or begin) + 1)


def _change(file: str, source: str, code: str) -> str:
    changed = list(difflib.unified_diff(source.splitlines(), code.splitlines(), n=0))[2:]
    old, new = (" ".join(line[1:].strip() for line in changed if line.startswith(sign)) for sign in "-+")
    return f"{file}: {old} -> {new}"


def _meaning(code: str) -> tuple[object, ...] | None:
    """As Python reads it, wherever it stands; None if it is no code."""
    try:
        return _of_block(compile(code, "", "exec"))
    except SyntaxError:
        return None


def _of_block(block: CodeType) -> tuple[object, ...]:
    constants = (_of_block(each) if isinstance(each, CodeType) else (type(each), each) for each in block.co_consts)
    return block.co_name, block.co_code, block.co_names, block.co_varnames, block.co_exceptiontable, *constants
