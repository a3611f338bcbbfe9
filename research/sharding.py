"""Many runs, or rows of a grid, at once: a share of them on every device."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


def _mesh(devices: Sequence | None) -> Mesh:
    return Mesh(jax.devices() if devices is None else list(devices), ("runs",))


def on_every_device(tree: PyTree, *, devices: Sequence | None = None) -> PyTree:
    """The same arrays on all devices, so that no call has to copy them there again.

    >>> on_every_device(jnp.arange(3)).tolist()
    [0, 1, 2]
    """
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


def over_devices(
    fun: Callable, in_axes: Sequence[int | None], *, devices: Sequence | None = None, at_once: int = 1
) -> Callable:
    """Like `jax.vmap(fun, in_axes)`, with the mapped axis shared out evenly over the devices.

    Every entry of `in_axes` is 0 (one slice a run) or None (the same for all). Each device takes
    its runs `at_once` at a time: 1 suits a CPU core, where runs that gather different rows are
    quickest one after the other; all of them suit a GPU or TPU. Where the number of runs is no
    multiple of the number of devices, the last run is done again to fill up, and dropped.

    `devices` are by default all that JAX sees.

    >>> over_devices(lambda seed, shift: seed * 2 + shift, (0, None))(jnp.arange(3), jnp.int32(1)).tolist()
    [1, 3, 5]
    """
    mapped = _mapped(in_axes)

    def on_one_device(*args: PyTree) -> PyTree:
        def one_run(slices: list[PyTree]) -> PyTree:
            filled = list(args)
            for index, one_slice in zip(mapped, slices, strict=True):
                filled[index] = one_slice
            return fun(*filled)

        return jax.lax.map(one_run, [args[index] for index in mapped], batch_size=at_once if at_once > 1 else None)

    return rows_over_devices(on_one_device, in_axes, devices=devices)


def rows_over_devices(fun: Callable, in_axes: Sequence[int | None], *, devices: Sequence | None = None) -> Callable:
    """`fun`, which makes of many rows one result each, with the rows shared out evenly over the devices.

    As `over_devices`, but each device is given all its rows at once, so that `fun` can do once for them what they have
    in common: the surface over a grid, for instance.

    >>> rows_over_devices(jnp.outer, (0, None))(jnp.arange(3), jnp.arange(2)).tolist()
    [[0, 0], [0, 1], [0, 2]]
    """
    mesh = _mesh(devices)
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec("runs") for axis in in_axes)
    sharded = jax.shard_map(fun, mesh=mesh, in_specs=specs, out_specs=PartitionSpec("runs"), check_vma=False)

    def over_all(*args: PyTree) -> PyTree:
        num_rows = len(jax.tree.leaves(args[_mapped(in_axes)[0]])[0])
        padding = -num_rows % mesh.size
        padded = [
            arg if axis is None else jax.tree.map(lambda leaf: _repeat_last(leaf, padding), arg)
            for arg, axis in zip(args, in_axes, strict=True)
        ]
        return jax.tree.map(lambda leaf: leaf[:num_rows], sharded(*padded))

    return over_all


def _mapped(in_axes: Sequence[int | None]) -> list[int]:
    return [index for index, axis in enumerate(in_axes) if axis is not None]


def _repeat_last(leaf: jax.Array, times: int) -> jax.Array:
    return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], times, axis=0)]) if times else leaf
