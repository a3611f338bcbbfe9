"""Many runs, or rows of a grid, at once: a share of them on every device; and of one run, a share of its examples.
Where there are fewer runs than devices, several work on a run: each adds up its own examples, one `psum` the devices
(`sum_of_shares`, `join_shares`): the film's averaging, done by the machine. `Together` are those of several processes.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

RUNS, EXAMPLES = "runs", "examples"  # the axes of the mesh
Share = tuple[Any, int]  # the first of a device's rows, and how many: to copy them takes a fifth of a gradient's time


def _mesh(devices: Sequence | None, num_runs: int | None = None) -> Mesh:
    """Devices in `num_runs` groups; in more, where these do not divide the devices; each alone by default."""
    found = jax.devices() if devices is None else list(devices)
    count = len(found)
    groups = next(groups for groups in range(min(num_runs or count, count), count + 1) if count % groups == 0)
    return Mesh(np.array(found).reshape(groups, -1), (RUNS, EXAMPLES))


def on_every_device(tree: PyTree, *, devices: Sequence | None = None) -> PyTree:
    """The same arrays on all devices of this process, so that no call has to copy them there again.

    >>> on_every_device(jnp.arange(3)).tolist()
    [0, 1, 2]
    """
    found = jax.local_devices() if devices is None else devices
    return jax.device_put(tree, NamedSharding(_mesh(found), PartitionSpec()))


def of_all_processes(tree: PyTree) -> PyTree:
    """Arrays that every process holds -> arrays of all processes together; nothing is sent, and nothing compared.

    >>> of_all_processes(jnp.arange(3)).tolist()
    [0, 1, 2]
    """
    on_all = NamedSharding(_mesh(None), PartitionSpec())

    def of_all(leaf: jax.Array) -> jax.Array:
        copies = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, on_all, copies)

    return jax.tree.map(of_all, on_every_device(tree))


class Together:
    """A jitted program on the devices of all processes: each calls it with the same arrays, and has all its results.

    >>> Together(jax.jit(over_devices(jnp.sin, (0,))))(jnp.zeros(3)).tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(self, program: Any) -> None:
        self.program = program

    def __call__(self, *args: PyTree) -> PyTree:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
            return self.program.__wrapped__(*args)  # only the shapes are asked for
        return multihost_utils.process_allgather(self.program(*of_all_processes(args)), tiled=True)

    def lower(self, *args: PyTree) -> "Together":
        return Together(self.program.lower(*of_all_processes(args)))

    def compile(self) -> "Together":
        return Together(self.program.compile())


def together(program: Any) -> Any:
    """The program itself where one process is alone."""
    return program if jax.process_count() == 1 else Together(program)


def over_devices(
    fun: Callable, in_axes: Sequence[int | None], *, devices: Sequence | None = None, at_once: int = 1
) -> Callable:
    """Like `jax.vmap(fun, in_axes)`, with the mapped axis shared out evenly over the devices.
    Entries of `in_axes` are 0 (a slice for a run) or None (the same for all). A device takes `at_once` runs at a time:
    one suits a CPU's core, all of them a GPU or TPU. Places left over do the last run again, and are dropped.

    >>> over_devices(lambda seed, shift: seed * 2 + shift, (0, None))(jnp.arange(3), jnp.int32(1)).tolist()
    [1, 3, 5]
    """

    def on_one_device(*args: PyTree) -> PyTree:
        def one_run(slices: list[PyTree]) -> PyTree:
            left = iter(slices)
            return fun(*(arg if axis is None else next(left) for arg, axis in zip(args, in_axes, strict=True)))

        mapped = [arg for arg, axis in zip(args, in_axes, strict=True) if axis is not None]
        return jax.lax.map(one_run, mapped, batch_size=at_once if at_once > 1 else None)

    return rows_over_devices(on_one_device, in_axes, devices=devices)


def rows_over_devices(fun: Callable, in_axes: Sequence[int | None], *, devices: Sequence | None = None) -> Callable:
    """As `over_devices`, but `fun` is given all rows of a device at once, and does once what they have in common.

    >>> rows_over_devices(jnp.outer, (0, None))(jnp.arange(3), jnp.arange(2)).tolist()
    [[0, 0], [0, 1], [0, 2]]
    """
    by_run = PartitionSpec(RUNS)
    specs = tuple(PartitionSpec() if axis is None else by_run for axis in in_axes)

    def over_all(*args: PyTree) -> PyTree:
        num_rows = len(jax.tree.leaves(args[in_axes.index(0)])[0])
        mesh = _mesh(devices, num_rows)
        # With check_vma=True the gradient in what all devices share would arrive already summed over them.
        sharded = jax.shard_map(fun, mesh=mesh, in_specs=specs, out_specs=by_run, check_vma=False)
        rows = np.minimum(np.arange(num_rows + -num_rows % mesh.shape[RUNS]), num_rows - 1)
        padded = [jax.tree.map(lambda leaf: leaf[rows], arg) if len(rows) > num_rows and axis == 0 else arg
                  for arg, axis in zip(args, in_axes, strict=True)]  # fmt: skip
        return jax.tree.map(lambda leaf: leaf[:num_rows], sharded(*padded))

    return over_all


def rows_of(share: Share, rows: PyTree) -> PyTree:
    """Rows first to first + count - 1 of every leaf.

    >>> rows_of((2, 3), jnp.arange(10)).tolist()
    [2, 3, 4]
    """
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, *share), rows)


def sum_of_shares(sum_over: Callable[[Share], PyTree], num_rows: int) -> PyTree:
    """sum_over((0, num_rows)), a sum over rows: each of the devices that work on one run adds up its share, then all
    are added. Every device adds up what equal shares leave over.

    >>> rows = jnp.arange(10.0)
    >>> over_devices(lambda run: sum_of_shares(lambda share: jnp.sum(rows_of(share, rows)), 10), (0,))(jnp.ones(1))
    Array([45.], dtype=float32)
    """
    own, left_over = _shares(num_rows)
    if own is None:
        return sum_over((0, num_rows))
    total = jax.lax.psum(sum_over(own), EXAMPLES)
    return total if left_over is None else jax.tree.map(jnp.add, total, sum_over(left_over))


def join_shares(of_rows: Callable[[Share], PyTree], join: Callable[[PyTree, PyTree], PyTree], num_rows: int) -> PyTree:
    """As `sum_of_shares`, where what two shares give is not added, but joined: join(of the first, of the next).

    >>> rows, both = jnp.arange(5), lambda first, second: jnp.concatenate([first, second])
    >>> over_devices(lambda run: join_shares(lambda share: rows_of(share, rows), both, 5), (0,))(jnp.ones(1)).tolist()
    [[0, 1, 2, 3, 4]]
    """
    own, left_over = _shares(num_rows)
    if own is None:
        return of_rows((0, num_rows))
    gathered = jax.lax.all_gather(of_rows(own), EXAMPLES)
    parts = [jax.tree.map(operator.itemgetter(device), gathered) for device in range(_devices_at_this_run())]
    return functools.reduce(join, parts if left_over is None else [*parts, of_rows(left_over)])


def _shares(num_rows: int) -> tuple[Share | None, Share | None]:
    """(this device's share, what equal ones leave over); no share where it takes all rows: alone, or among too many."""
    num_devices = _devices_at_this_run()
    count, rest = divmod(num_rows, num_devices)
    if num_devices == 1 or count == 0:
        return None, None
    return (jax.lax.axis_index(EXAMPLES) * count, count), (num_devices * count, rest) if rest else None


def _devices_at_this_run() -> int:
    try:
        return jax.lax.axis_size(EXAMPLES)
    except NameError:  # the axis is bound inside of `over_devices` only
        return 1
