"""Flax modules against the plain network with the same weights: outputs, gradients and the path of a training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from research import costs, flax_models, gradients, models, training
from research.data import Examples
from research.models import Layer

SIZES = (6, 4, 3)


class Network(nnx.Module):
    """The plain network of SIZES in nnx."""

    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(SIZES[0], SIZES[1], rngs=rngs)
        self.last = nnx.Linear(SIZES[1], SIZES[2], rngs=rngs)

    def __call__(self, inputs):
        return jax.nn.sigmoid(self.last(jax.nn.sigmoid(self.hidden(inputs))))


class LinenNetwork(linen.Module):
    """The same in linen."""

    @linen.compact
    def __call__(self, inputs):
        hidden = jax.nn.sigmoid(linen.Dense(SIZES[1], name="hidden")(inputs))
        return jax.nn.sigmoid(linen.Dense(SIZES[2], name="last")(hidden))


class WithBatchNorm(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(6, rngs=rngs)


class WithDropout(nnx.Module):
    def __init__(self, rngs):
        self.drop = nnx.Dropout(0.5, rngs=rngs)


class WithBareDropout(nnx.Module):
    def __init__(self, rngs):
        self.drop = nnx.Dropout(0.5)


class LinenBatchNorm(linen.Module):
    @linen.compact
    def __call__(self, inputs):
        return linen.BatchNorm(use_running_average=True)(inputs)


class LinenDropout(linen.Module):
    @linen.compact
    def __call__(self, inputs):
        return linen.Dropout(0.5, deterministic=False)(inputs)


def as_layers(params):
    """flax's (in, out) kernels as the rows of `Layer`."""
    return [Layer(params[name]["kernel"].T, params[name]["bias"]) for name in ("hidden", "last")]


def data(count=8):
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(count, SIZES[0])).astype(np.float32)
    return Examples(jnp.asarray(inputs), jnp.asarray(np.eye(SIZES[2], dtype=np.float32)[rng.integers(3, size=count)]))


FLAX = {"nnx": flax_models.from_nnx(Network), "linen": flax_models.from_linen(LinenNetwork(), SIZES[0])}


@pytest.mark.parametrize("model", FLAX.values(), ids=FLAX)
def test_the_same_weights_give_the_same_costs_gradients_and_path(model):
    plain, train = models.mlp(SIZES), data()
    params, schedule = jax.jit(model.init)(jax.random.key(1)), jnp.arange(8).reshape(1, 4, 2)

    def train_it(apply, params):
        one = gradients.example_cost(apply, costs.sum_of_squares)
        cost, optimizer = gradients.mean_over_examples(one), optax.sgd(0.5)
        step, state = training.make_step(cost, optimizer), training.TrainState(params, optimizer.init(params))
        end, history = training.minibatch_descent(step, state, train, schedule, lambda state: ())
        outputs = jax.vmap(apply, (None, 0))(params, train.inputs)
        return outputs, jax.grad(cost)(params, train), history.costs, end.params

    outputs, grads, path, end = jax.jit(lambda params: train_it(model.apply, params))(params)
    same = jax.jit(lambda layers: train_it(plain.apply, layers))(as_layers(params))
    found = (outputs, as_layers(grads), path, as_layers(end))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, same)


@pytest.mark.parametrize("model", FLAX.values(), ids=FLAX)
def test_seeds_by_vmap_are_seeds_one_by_one(model):
    keys = jax.random.split(jax.random.key(0), 2)
    together = jax.jit(jax.vmap(model.init))(keys)
    alone = [jax.jit(model.init)(key) for key in keys]
    jax.tree.map(lambda a, *b: np.testing.assert_allclose(a, np.stack(b), rtol=1e-6), together, *alone)
    assert not np.allclose(together["hidden"]["kernel"][0], together["hidden"]["kernel"][1])


@pytest.mark.parametrize(
    ("make", "names"),
    [(lambda: flax_models.from_nnx(WithBatchNorm), "BatchStat"),
     (lambda: flax_models.from_nnx(WithDropout), "Dropout"),
     (lambda: flax_models.from_nnx(WithBareDropout), "Dropout"),
     (lambda: flax_models.from_linen(LinenBatchNorm(), 6), "batch_stats"),
     (lambda: flax_models.from_linen(LinenDropout(), 6), "Dropout")],
    ids=["batch statistics", "dropout", "dropout without numbers", "linen batch statistics", "linen dropout"],
)  # fmt: skip
def test_modules_whose_cost_is_not_of_one_example_are_refused(make, names):
    with pytest.raises(ValueError, match=f"{names}.* besides its parameters"):
        make()
