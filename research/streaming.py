"""A data set that does not fit into memory: the full gradient and mini-batches, read as they are needed.

The source is any object with `len` and `[row]` that gives {"image": ..., "label": ...}: `tfds.data_source(...)`, a data
source of grain, a memory map. The schedule stays data, as in `research.training`: to resume is to go on with the last
state at leg k, `schedule[k:]`. At most three batches of images are held. The functions passed in come jitted.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Float, Int, PyTree

from research.data import Examples, one_hot
from research.training import Step, TrainState

Read = Callable[[np.ndarray], Examples]


def reader(source: Any, num_classes: int) -> Read:
    """The function rows -> Examples of a source; where it has `__getitems__`, as those of TFDS, many rows at once.

    >>> read = reader([{"image": np.full((1, 2), row, np.uint8), "label": row} for row in range(3)], num_classes=3)
    >>> read(np.array([2, 0])).inputs.tolist()
    [[2, 2], [0, 0]]
    """

    def read(rows: np.ndarray) -> Examples:
        wanted = [int(row) for row in rows]
        many = getattr(source, "__getitems__", None)
        found = many(wanted) if many else [source[row] for row in wanted]
        images: Any = np.stack([np.ravel(each["image"]) for each in found])
        targets: Any = one_hot(np.array([each["label"] for each in found]), num_classes)
        return Examples(images, targets)

    return read


def read_ahead(read: Read, batches: Iterable[np.ndarray]) -> Iterator[Examples]:
    """Each batch of rows, read; a thread reads the next one while the caller computes.

    >>> [batch.tolist() for batch in read_ahead(lambda rows: rows * 10, np.arange(4).reshape(2, 2))]
    [[0, 10], [20, 30]]
    """
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for rows in batches:
            after = thread.submit(read, rows)
            if coming is not None:
                yield coming.result()
            coming = after
        if coming is not None:
            yield coming.result()


def mean_over_stream(mean: Callable, params: PyTree, read: Read, num_examples: int, chunk_size: int) -> PyTree:
    """mean(params, examples), a mean over examples or its gradient, of all of them, `chunk_size` at a time.
    Several processes read a share each, and all have the result. The sum is kept in float64 on the host. Raises
    ValueError where there are fewer examples than processes, and where chunk_size is below 1.
    """
    index, count = jax.process_index(), jax.process_count()
    if num_examples < count or chunk_size < 1:
        raise ValueError(f"{num_examples} examples in chunks of {chunk_size} cannot be read by {count} processes")
    own = np.arange(index, num_examples, count)

    def part(chunk: Examples) -> PyTree:
        share = len(chunk.inputs) / num_examples
        return jax.tree.map(lambda leaf: share * np.asarray(leaf, np.float64), mean(params, chunk))

    chunks = read_ahead(read, np.split(own, range(chunk_size, len(own), chunk_size)))
    total = functools.reduce(functools.partial(jax.tree.map, np.add), map(part, chunks))
    if count > 1:
        total = jax.tree.map(lambda leaf: leaf.sum(axis=0), multihost_utils.process_allgather(total))
    return jax.tree.map(jnp.asarray, total)


def minibatch_descent(
    step: Step, state: TrainState, read: Read, schedule: Int[Any, "legs steps batch"]
) -> Iterator[tuple[TrainState, Float[Array, "steps"]]]:
    """As `training.minibatch_descent`, leg by leg: the state, and the cost that each step saw before it moved.
    Every process reads every batch: a batch of 100 images is not worth an all-reduce of the gradient.
    """
    for leg in np.asarray(schedule):
        costs = []
        for batch in read_ahead(read, leg):
            state, cost = step(state, batch)
            costs.append(jax.block_until_ready(cost))  # else JAX would let the reading run far ahead of the steps
        yield state, jnp.stack(costs)
