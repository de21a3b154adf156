"""Compiled code that works on 16 numbers at once, with what a compiler does not find by itself: moving them.

Addresses are integers (`array.ctypes.data`), numbers are float32.
"""

from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic

LANES = 16
"""Numbers that are worked on together: those of the widest vector register; narrower ones share the work."""


@intrinsic
def copy(typing, source, target):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Copy LANES numbers between two addresses: a loop over so few costs more than it does."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ARG001
        _write(builder, args[1], _read(builder, args[0]))
        return context.get_dummy_value()

    return numba.void(numba.intp, numba.intp), build


@intrinsic
def turn(typing, source, rows, target):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Turn LANES rows, at byte offsets `rows` from `source`, into columns: LANES neighbouring rows at `target`."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ARG001
        source, rows, target = args
        block = [_read(builder, builder.add(source, offset)) for offset in _offsets(builder, rows)]
        for i, row in enumerate(_transposed(builder, block)):
            _write(builder, builder.add(target, _whole(4 * LANES * i)), row)
        return context.get_dummy_value()

    return numba.void(numba.intp, numba.intp, numba.intp), build


@intrinsic
def turn_back(typing, source, rows, target):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The inverse of `turn`: from LANES neighbouring rows at `source` to byte offsets `rows` from `target`."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ARG001
        source, rows, target = args
        block = [_read(builder, builder.add(source, _whole(4 * LANES * i))) for i in range(LANES)]
        for offset, row in zip(_offsets(builder, rows), _transposed(builder, block), strict=True):
            _write(builder, builder.add(target, offset), row)
        return context.get_dummy_value()

    return numba.void(numba.intp, numba.intp, numba.intp), build


def _whole(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _lanes(pick: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), pick)


def _vector(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, ir.VectorType(ir.FloatType(), LANES).as_pointer())


def _read(builder: Any, address: Any) -> Any:
    return builder.load(_vector(builder, address), align=4)


def _write(builder: Any, address: Any, value: Any) -> None:
    builder.store(value, _vector(builder, address), align=4)


def _offsets(builder: Any, rows: Any) -> list[Any]:
    table = builder.inttoptr(rows, ir.IntType(64).as_pointer())
    return [builder.load(builder.gep(table, [_whole(i)])) for i in range(LANES)]


def _transposed(builder: Any, block: list[Any]) -> list[Any]:
    """Columns of a square of LANES vectors: swap its off-diagonal halves, then those of each quarter, and so on."""
    row = list(block)
    for d in (8, 4, 2, 1):
        low = [LANES + k - d if k & d else k for k in range(LANES)]
        high = [LANES + k if k & d else k + d for k in range(LANES)]
        for i in range(LANES):
            if not i & d:
                pair = row[i], row[i + d]
                row[i], row[i + d] = (builder.shuffle_vector(*pair, _lanes(pick)) for pick in (low, high))
    return row
