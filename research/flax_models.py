"""Flax modules as models: any network of flax's, behind the same pair of pure functions (init, apply).

A module is written for ONE example, as every model here: it gets a flat input (784,) and returns one number a class; a
convolutional one reshapes the input itself. Its parameters become nested dicts of arrays, so that optax, `jax.grad`,
`jax.vmap` over seeds and `ravel_pytree` take them like any others.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import errors, linen, nnx
from jaxtyping import Array, Float, Key

from research.models import Model, Params

REFUSED = "a model is a pure function of its parameters and ONE input, so leave out batch statistics and dropout"


def from_nnx(make_module: Callable[[nnx.Rngs], nnx.Module]) -> Model:
    """The model behind a `flax.nnx` module; `make_module(rngs)` builds it, `module(input)` answers ONE input.

    The module's static half (`nnx.split`) is made once, here, without computing anything; init makes the other half,
    its `nnx.Param`s, from a key, and apply puts the two together anew at every call, so that nothing of the module
    outlives it. Flax keeps a layer's weights as (in, out), and starts them as `lecun_normal`: N(0, 1/in), truncated.

    Raises ValueError if the module keeps more than parameters: batch statistics, random states, dropout.

    >>> model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    >>> params = model.init(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, params)
    {'bias': (2,), 'kernel': (3, 2)}
    >>> model.apply(params, jnp.zeros(3)).tolist()
    [0.0, 0.0]
    """
    module = nnx.eval_shape(lambda: make_module(nnx.Rngs(0)))
    static, _, others = nnx.split(module, nnx.Param, ...)
    kept = {type(leaf).__name__ for _, leaf in nnx.to_flat_state(others)}
    kept |= {"Dropout" for _, part in nnx.iter_modules(module) if isinstance(part, nnx.Dropout)}
    if kept:
        raise ValueError(f"the flax module {type(module).__name__} keeps {', '.join(sorted(kept))}; {REFUSED}")

    def init(key: Key[Array, ""]) -> Params:
        return nnx.to_pure_dict(nnx.state(make_module(nnx.Rngs(key)), nnx.Param))

    def apply(params: Params, inputs: Float[Array, "in"]) -> Float[Array, "out"]:
        network: Any = nnx.merge(static, params)
        return network(inputs)

    return Model(init, apply)


def from_linen(module: linen.Module, num_inputs: int) -> Model:
    """The model behind a `flax.linen` module, whose `__call__` takes ONE input of `num_inputs` numbers.

    Raises ValueError if the module keeps more than parameters, or asks for random numbers when it is applied.

    >>> model = from_linen(linen.Dense(2), 3)
    >>> jax.tree.map(jnp.shape, model.init(jax.random.key(0)))
    {'bias': (2,), 'kernel': (3, 2)}
    """
    blank = jnp.zeros(num_inputs)
    state = jax.eval_shape(lambda: module.init(jax.random.key(0), blank))
    kept = sorted(set(state) - {"params"})
    try:
        jax.eval_shape(module.apply, state, blank)
    except errors.InvalidRngError:
        kept += ["random numbers"]
    if kept:
        raise ValueError(f"the flax module {type(module).__name__} keeps {', '.join(kept)}; {REFUSED}")

    def init(key: Key[Array, ""]) -> Params:
        return module.init(key, blank)["params"]

    def apply(params: Params, inputs: Float[Array, "in"]) -> Float[Array, "out"]:
        return module.apply({"params": params}, inputs)  # pyright: ignore[reportReturnType]

    return Model(init, apply)
