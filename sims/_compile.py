"""Loops compiled for the CPU."""

from typing import Any

import numba


def compiled(function: Any) -> Any:
    """Compiled on first use, and kept on disk for the next process where there is a folder to keep it in."""
    # Division by zero is left to IEEE 754: a check for it would keep the loop from becoming vector instructions.
    options = {"fastmath": True, "error_model": "numpy", "nogil": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # Neither the installation nor the home folder can be written.
        return numba.njit(**options)(function)
