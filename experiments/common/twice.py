"""A user's own functions are called twice with the same numbers: a pure one gives the same ones both times."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from experiments.common.bounds import blaming, require
from experiments.common.posing import functions_of
from experiments.common.problem import Problem
from research.data import unit_interval

PURE = "it must be a pure function, without state that changes, and random only by its key"
KNOWN = ("", "flax", "jax", "optax", "research")  # packages whose functions are; '' is where a name has none


def check_alone(settings: Any) -> None:
    """Raises SettingsError unless the activations, and what of a user's own draws the weights, give floating point
    numbers of the shape that is asked for; a user's own the same ones when they are called again."""
    activation, output_activation, init_weights = functions_of(settings)
    for name, function in (("activation", activation), ("output_activation", output_activation)):
        check_floats(settings, name, function, (5,), jnp.linspace(-2, 2, 5))
    if own(settings, "init_weights"):  # others are tried where the layers are made
        check_floats(settings, "init_weights", init_weights, (3, 4), jax.random.key(0), (3, 4), jnp.float32)


def check_floats(settings: Any, name: str, function: Callable, shape: tuple[int, ...], *args: Any) -> None:
    """Raises SettingsError unless function(*args) is an array of floating point numbers of that shape."""
    label = f"--{name.replace('_', '-')} {getattr(settings, name)}"
    if own(settings, name):
        found = np.asarray(same([label], function, *args))
    else:
        with blaming(f"{label} failed when it was tried", "an activation keeps the shape of what it gets"):
            found = jax.eval_shape(function, *args)
    is_array = isinstance(found, (np.ndarray, jax.ShapeDtypeStruct))
    gave = f"{found.dtype} of shape {found.shape}" if is_array else f"a {type(found).__name__}"
    fits = is_array and jnp.issubdtype(found.dtype, jnp.floating) and found.shape == shape
    require(fits, f"{label} gave {gave}, where floating point numbers of shape {shape} are needed")


def check_again(settings: Any, problem: Problem) -> None:
    """Raises SettingsError where a user's own function gives something else when it is called again, as one does that
    counts its calls, or draws random numbers without a key: every program that is compiled would see another one."""
    layers = ("activation", "output_activation")
    drawing = own(settings, "model" if settings.model else "init_weights")
    network = own(settings, *(("model",) if settings.model else layers))
    cost = own(settings, "cost")
    if not drawing + network + cost:
        return
    inputs, targets = (jnp.asarray(leaf[:10]) for leaf in problem.train)
    params = same(drawing, problem.model.init, jax.random.key(0))
    finite = all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))
    require(finite, f"{' or '.join(drawing)} draws numbers that are not finite; let it draw finite ones")
    outputs = same(network, jax.vmap(problem.model.apply, (None, 0)), params, unit_interval(inputs))
    same(cost, jax.vmap(problem.cost_fn), outputs, targets)


def own(settings: Any, *names: str) -> list[str]:
    """Those settings among `names` that name a function of the user's own, as one types them."""
    paths = {name: getattr(settings, name) for name in names}
    return [f"--{name.replace('_', '-')} {path}" for name, path in paths.items()
            if path.rpartition(":")[0].partition(".")[0] not in KNOWN]  # fmt: skip


def same(names: list[str], fun: Callable, *args: PyTree) -> PyTree:
    """fun(*args), which must be the same again."""
    which = " or ".join(names)
    with blaming(f"{which} failed when it was tried", PURE):
        found, again = (jax.device_get(fun(*args)) for _ in range(2))
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=False)
    repeated = jax.tree.structure(found) == jax.tree.structure(again) and all(
        np.array_equal(before, after, equal_nan=True) for before, after in pairs
    )
    require(repeated, f"{which} gives other numbers when it is called again with the same; {PURE}")
    return found
