"""What would be made anew many thousand times, made once for many: checks of signatures, and MLIR's contexts.

jaxtyping imports it with research, as pyproject.toml says; programs that tests start have it from forked.py.
"""

import functools
import itertools
import threading

import jax
from beartype import beartype
from jax._src.interpreters import mlir

CHECKED = {}


def checked(stub):
    """`stub` checked by beartype. jaxtyping hands over no function of ours but one of its own that only has its
    annotations, so that an earlier one with the same serves as well: nested functions come anew with every call."""
    key = stub.__module__, stub.__qualname__, *stub.__annotations__.items()
    if key not in CHECKED:
        CHECKED[key] = beartype(stub)
    return CHECKED[key]


# From 0.12 on JAX itself keeps a thread's context for ten programs. It grows with every type that it meets, so that a
# new one comes after a hundred.
if jax.__version_info__ < (0, 12):
    make, numbers = mlir.make_ir_context, itertools.count()
    kept = functools.lru_cache(maxsize=4)(lambda thread, hundred: make())
    mlir.make_ir_context = lambda: kept(threading.get_ident(), next(numbers) // 100)
