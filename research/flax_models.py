"""Flax modules as models: any network of nnx or linen becomes a pair of pure functions (init, apply)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import errors, linen, nnx
from jaxtyping import Array, Float, Key

from research.models import Model, Params


def from_nnx(make_module: Callable[[nnx.Rngs], nnx.Module]) -> Model:
    """The model of a flax.nnx module, for ONE input: `apply` is what the module's `__call__` does.
    The parameters are its `nnx.Param`s, nested dictionaries; flax keeps weights as (in, out), `models.Layer` as (out,
    in). Raises ValueError where it holds more, as batch statistics, on which one example's cost would depend too.
    Source: flax.readthedocs.io, "The Flax functional API" (`nnx.split` and `nnx.merge`).

    >>> model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    >>> params = model.init(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, params)
    {'bias': (2,), 'kernel': (3, 2)}
    >>> model.apply(params, jnp.zeros(3)).tolist()
    [0.0, 0.0]
    """
    shapes = nnx.eval_shape(lambda: make_module(nnx.Rngs(0)))
    structure, _, rest = nnx.split(shapes, nnx.Param, ...)
    dropouts = {"Dropout" for _, node in nnx.iter_graph(shapes) if isinstance(node, nnx.Dropout)}
    _refuse_more_than_parameters(dropouts | {type(variable).__name__ for _, variable in nnx.to_flat_state(rest)})

    def init(key: Key[Array, ""]) -> Params:
        return nnx.to_pure_dict(nnx.state(make_module(nnx.Rngs(key)), nnx.Param))

    def apply(params: Params, inputs: Float[Array, "in"]) -> Float[Array, "out"]:
        module: Any = nnx.merge(structure, nnx.State(params))
        return module(inputs)

    return Model(init, apply)


def from_linen(module: linen.Module, num_inputs: int) -> Model:
    """The model of a flax.linen module that takes ONE input of `num_inputs` numbers; otherwise as `from_nnx`.

    >>> model = from_linen(linen.Dense(2), 3)
    >>> jax.tree.map(jnp.shape, model.init(jax.random.key(0)))
    {'bias': (2,), 'kernel': (3, 2)}
    """

    def init_all(key: Key[Array, ""]) -> dict:
        return dict(module.init({"params": key}, jnp.zeros(num_inputs)))

    shapes = jax.eval_shape(init_all, jax.random.key(0))
    _refuse_more_than_parameters(set(shapes) - {"params"})
    try:
        jax.eval_shape(module.apply, shapes, jnp.zeros(num_inputs))
    except errors.InvalidRngError:  # to answer, it asks for them
        _refuse_more_than_parameters({"random numbers, as Dropout does,"})

    def apply(params: Params, inputs: Float[Array, "in"]) -> Float[Array, "out"]:
        return module.apply({"params": params}, inputs)  # pyright: ignore[reportReturnType]

    return Model(lambda key: init_all(key)["params"], apply)


def _refuse_more_than_parameters(kinds: set[str]) -> None:
    if kinds:
        raise ValueError(
            f"the module holds {', '.join(sorted(kinds))} besides its parameters; here the cost of one example depends "
            "on the parameters and that example alone, so leave out batch normalisation and dropout (LayerNorm is fine)"
        )
