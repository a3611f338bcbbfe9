"""Mini-batch gradients of every size against the full gradient, at one place, from as few gradients as possible.

Batches of 1 to 50 are averaged within blocks of 100 examples of one shuffle; larger ones are made of blocks, and all
that is asked of them follows from dot products between the blocks' gradients.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common.problem import Problem
from research import data, gradients, sampling, statistics
from research.data import Examples
from research.models import Params

FILMS_BATCH = 100
ONES, TENS = (1, 2, 5), (10, 20, 50)  # batches within a block of 100, averaged from single images or from tens
ONES_FROM = 10_000  # images that are looked at one by one
TIMES = (1, 2, 5, 10, 20, 50, 100, 200, 300)  # so many blocks of 100 make a large batch
DRAWN = 1000  # large batches of every size


class Batches(NamedTuple):
    """Mini-batches of every size against G: means over the batches."""

    cosine: Float[np.ndarray, "seeds checkpoints sizes"]
    squared_error: Float[np.ndarray, "seeds checkpoints sizes"]  # of |g_B - G|^2 / |G|^2
    squared_norm: Float[np.ndarray, "seeds checkpoints sizes"]  # of |g_B|^2


class Quality(NamedTuple):
    cost: Float[np.ndarray, "seeds checkpoints"]
    squared_norm: Float[np.ndarray, "seeds checkpoints"]  # |G|^2
    total_variance: Float[np.ndarray, "seeds checkpoints"]  # tr Sigma, from the single images' gradients
    mean_error: Float[np.ndarray, "seeds checkpoints"]  # |mean of all gradients of batches of 100 - G| / |G|
    variance_from_batches: Float[np.ndarray, "seeds checkpoints"]  # tr Sigma, from the scatter of batches of 100
    variance_error: Float[np.ndarray, "seeds checkpoints"]  # its standard error
    batches: Batches


def batch_sizes(num_examples: int) -> tuple[int, ...]:
    """All that are looked at, short of the full batch.

    >>> batch_sizes(600)
    (1, 2, 5, 10, 20, 50, 100, 200)
    """
    return (*ONES, *TENS, *(times * FILMS_BATCH for times in multiples(num_examples // FILMS_BATCH)))


def multiples(num_blocks: int) -> list[int]:
    """How many blocks a large batch may have, so that there are two such batches or more."""
    return [times for times in TIMES if times <= num_blocks // 2]


def quality(problem: Problem, params: Params, train: Examples, key: Array) -> tuple:
    """The fields of Quality at one place: draws mini-batches of every size without replacement."""
    shuffle_key, draw_key = jax.random.split(key)
    moments = problem.statistics.moments(params, train)
    full = ravel_pytree(moments.mean)[0]
    order = jax.random.permutation(shuffle_key, len(train.inputs))
    order = order[: len(order) // FILMS_BATCH * FILMS_BATCH].reshape(-1, FILMS_BATCH)
    ones = small_batches(problem, params, train, order[: ONES_FROM // FILMS_BATCH], full, ONES)
    tens = small_batches(problem, params, train, order, full, TENS)
    gradient = jax.grad(gradients.mean_over_examples(problem.example_cost))
    blocks = jax.lax.map(lambda rows: ravel_pytree(gradient(params, data.take(train, rows)))[0], order)
    apart = blocks - full[None]
    squared_errors = jnp.sum(apart**2, axis=1)
    squared_norm = statistics.squared_norm(full)
    to_total = float(FILMS_BATCH / sampling.finite_population(FILMS_BATCH, len(train.inputs)))
    return (
        problem.cost(params, train),
        squared_norm,
        statistics.total_variance(moments),
        jnp.linalg.norm(jnp.mean(apart, axis=0)) / jnp.sqrt(squared_norm),
        to_total * jnp.mean(squared_errors),
        to_total * jnp.std(squared_errors) / np.sqrt(len(order)),
        tuple(map(jnp.stack, zip(*ones, *tens, *large_batches(apart, full, draw_key), strict=True))),
    )


def small_batches(
    problem: Problem, params: Params, train: Examples, order: Array, full: Array, sizes: tuple[int, ...]
) -> list[tuple]:
    """The fields of Batches for each size: gradients of the smallest, single images if it is 1, are averaged."""
    gradient, length = jax.grad(gradients.mean_over_examples(problem.example_cost)), jnp.linalg.norm(full)

    def of_block(rows: Array) -> list[tuple]:
        units = data.take(train, rows.reshape(-1, sizes[0]))
        flat = jax.vmap(lambda unit: ravel_pytree(gradient(params, unit))[0])(units)
        found = []
        for size in sizes:
            batch = jnp.mean(flat.reshape(-1, size // sizes[0], flat.shape[1]), axis=1)
            squared = jnp.sum(batch**2, axis=1)
            errors = jnp.sum((batch - full[None]) ** 2, axis=1) / length**2
            cosines = batch @ full / jnp.where(squared > 0, jnp.sqrt(squared) * length, 1)
            found.append(tuple(map(jnp.mean, (cosines, errors, squared))))
        return found

    return jax.tree.map(jnp.mean, jax.lax.map(of_block, order))


def large_batches(apart: Array, full: Array, key: Array) -> list[tuple]:
    """The fields of Batches for several blocks drawn at random; `apart` are the blocks' gradients less G.
    With e the mean of some rows of `apart`, all follows from dot products between the rows: |g_B - G|^2 = |e|^2, and
    |g_B|^2 = |G|^2 + 2 e . G + |e|^2. Batches of a single block are not drawn, each is taken once."""
    products, slopes, squared_norm = apart @ apart.T, apart @ full, jnp.vdot(full, full)
    places = jnp.broadcast_to(jnp.arange(len(apart)), (DRAWN, len(apart)))
    places = jax.random.permutation(key, places, axis=1, independent=True)
    found = []
    for times in multiples(len(apart)):
        shares = jnp.eye(len(apart)) if times == 1 else jnp.where(places < times, 1 / times, 0)  # drawn batches, blocks
        errors, along = jnp.sum(shares @ products * shares, axis=1), shares @ slopes
        squared = squared_norm + 2 * along + errors
        cosines = (squared_norm + along) / jnp.sqrt(squared_norm * squared)
        found.append(tuple(map(jnp.mean, (cosines, errors / squared_norm, squared))))
    return found
