"""Other machines, without having them: eight devices find what one finds, and all is lowered for GPU and TPU."""

import functools
from pathlib import Path

import forked
import jax
import jax.numpy as jnp
import optax
import pytest
from jax.flatten_util import ravel_pytree

from research import agreement, costs, curvature, gradients, landscape, models, statistics, training
from research.data import Examples
from research.training import TrainState

HERE = Path(__file__).parent
NAMES = (
    "gradient",
    "mini-batches",
    "full batch",
    "moments",
    "moments in chunks of a GPU",
    "moments of layers",
    "agreement",
    "surface",
    "top eigenvalue",
)
EXAMPLES, SIZES, STEPS = 1003, (20, 8, 5), 100  # examples that eight devices cannot share out evenly


@functools.cache
def works():
    """What the experiments compile, by name: (function of one start and the examples, those arguments)."""
    key = jax.random.key(0)
    labels = jax.random.randint(key, (EXAMPLES,), 0, SIZES[-1])
    images = jax.random.randint(key, (EXAMPLES, SIZES[0]), 0, 256).astype(jnp.uint8)
    examples, model = Examples(images, jax.nn.one_hot(labels, SIZES[-1])), models.mlp(SIZES)
    params = model.init(key)
    one = gradients.example_cost(model.apply, costs.sum_of_squares)
    objective, batch = gradients.mean_over_examples(one, chunk_size=100), gradients.mean_over_examples(one)
    factors = statistics.layer_factors(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
    schedule = training.shuffled_schedule(key, EXAMPLES, 10, 1)[:, :STEPS]
    point, unravel = ravel_pytree(params)
    plane, line = landscape.Plane(point, jnp.eye(2, len(point))), jnp.linspace(-1.0, 1.0, 3)
    layers = landscape.PlainLayers(unravel, costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
    pairs = lambda params, examples: curvature.ritz_pairs(objective, params, examples, key, num_iterations=10)

    def descent(loop, objective, *how):
        optimizer = optax.sgd(1.0)
        step = training.make_step(objective, optimizer)
        return lambda params, examples: loop(
            step, TrainState(params, optimizer.init(params)), examples, *how, lambda state: ()
        )

    agree = agreement.class_agreement(statistics.layer_weighted_sums(factors))
    funs = (
        jax.value_and_grad(objective),
        descent(training.minibatch_descent, batch, schedule),
        descent(training.full_batch_descent, objective, 1, STEPS),
        statistics.moments(one),
        statistics.moments(one, 200),
        statistics.layer_moments(factors),
        lambda params, examples: agree(params, examples, jnp.ones(EXAMPLES)),
        lambda params, examples: landscape.surface_of_layers(layers, plane, examples, line, line),
        lambda params, examples: pairs(params, examples).values[0],
    )
    return {name: (fun, (params, examples)) for name, fun in zip(NAMES, funs, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_compiled_is_lowered_for_gpus_and_tpus_and_asks_nothing_of_the_host(name):
    fun, given = works()[name]
    exported = jax.export.export(jax.jit(fun), platforms=("cuda", "rocm", "tpu"))(*given)
    assert set(exported.platforms) == {"cuda", "rocm", "tpu"}
    assert "callback" not in exported.mlir_module()


EIGHT = """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
from test_machines import works
from research import sharding
assert jax.device_count() == 8
for name, (fun, (params, examples)) in works().items():
    start = jax.tree.map(lambda leaf: leaf[None], params)
    found = [jax.jit(sharding.over_devices(fun, (0, None), devices=jax.devices()[:count]))(start, examples)
             for count in (1, 8)]
    alone, together = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(each)]) for each in found)
    print(name, np.abs(together - alone).max() / np.abs(alone).max(), sep=":")
"""


def test_eight_devices_find_what_one_finds(tmp_path):
    code, out, errors = forked.start(["-c", EIGHT], HERE, tmp_path, JAX_PLATFORMS="cpu").ended()
    assert code == 0, errors
    apart = dict(line.split(":") for line in out.splitlines())
    assert set(apart) == set(NAMES)
    assert max(map(float, apart.values())) < 1e-6, apart
