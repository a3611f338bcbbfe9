"""A data set that does not fit into memory: the full gradient and mini-batches, read as they are needed, by grain.

The source is any object with `len` and `[row]` that gives {"image": ..., "label": ...}: `tfds.data_source(...)`, a data
source of grain, a memory map. Which rows are read is data: a schedule of `research.training`, whose steps are those in
memory, or `shuffled`, grain's own order, which takes no memory. At most three batches of images are held by a caller
that waits for its steps. The functions passed in come jitted.
"""

import functools
from collections.abc import Callable
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from research.data import Examples, one_hot


def reader(source: Any, num_classes: int) -> Callable[[np.ndarray], Examples]:
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


def shuffled(seed: int, num_examples: int, batch_size: int, num_epochs: int) -> grain.MapDataset:
    """The rows of every step of random reshuffling, in grain's order; each of several processes has its share of every
    batch, which `jax.make_array_from_process_local_data` puts together. Raises ValueError where they cannot share it.

    >>> steps = shuffled(seed=0, num_examples=7, batch_size=3, num_epochs=2)
    >>> len(steps), len(set(np.concatenate([steps[0], steps[1]]).tolist()))
    (4, 6)
    """
    index, count = jax.process_index(), jax.process_count()
    if not 1 <= batch_size <= num_examples or batch_size % count:
        raise ValueError(f"batches of {batch_size} from {num_examples} examples cannot be shared by {count} processes")
    whole = num_examples // batch_size * batch_size  # what is left over is others in the next epoch
    order = grain.MapDataset.range(num_examples).seed(seed).shuffle().slice(slice(index, whole, count))
    return order.batch(batch_size // count).repeat(num_epochs)


def stream(read: Callable, batches: Any) -> grain.DatasetIterator:
    """read(batch) for each of the batches (`len` and `[step]`), the next one while the caller computes. To resume, hand
    its `get_state()` to `set_state` of another stream of the same batches.

    >>> [batch.tolist() for batch in stream(lambda rows: rows * 10, np.arange(4).reshape(2, 2))]
    [[0, 10], [20, 30]]
    """
    one_ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    return iter(grain.MapDataset.source(batches).map(read).to_iter_dataset(one_ahead))


def mean_over_stream(mean: Callable, params: PyTree, read: Callable, num_examples: int, chunk_size: int) -> PyTree:
    """mean(params, examples), a mean over examples or its gradient, of all of them, `chunk_size` at a time.
    Several processes read a share each, and all have the result. The sum is kept in float64 on the host. Raises
    ValueError where there are fewer examples than processes, and where chunk_size is below 1.

    >>> read = lambda rows: Examples(jnp.float32(rows), jnp.float32(rows))
    >>> mean_over_stream(lambda shift, examples: jnp.mean(examples.inputs + shift), 1.0, read, 5, chunk_size=2)
    Array(3., dtype=float32)
    """
    index, count = jax.process_index(), jax.process_count()
    if num_examples < count or chunk_size < 1:
        raise ValueError(f"{num_examples} examples in chunks of {chunk_size} cannot be read by {count} processes")
    own = range(index, num_examples, count)

    def add(so_far: tuple[PyTree, PyTree], chunk: Examples) -> tuple[PyTree, PyTree]:
        (total, _), share, found = so_far, len(chunk.inputs) / num_examples, mean(params, chunk)
        part = jax.tree.map(lambda leaf: share * np.asarray(leaf, np.float64), found)
        types = jax.tree.map(lambda leaf: leaf.dtype, found)
        return part if total is None else jax.tree.map(np.add, total, part), types

    chunks = stream(lambda first: read(np.array(own[first : first + chunk_size])), range(0, len(own), chunk_size))
    total, types = functools.reduce(add, chunks, (None, None))
    if count > 1:
        total = jax.tree.map(lambda leaf: leaf.sum(axis=0), multihost_utils.process_allgather(total))
    return jax.tree.map(jnp.asarray, total, types)
