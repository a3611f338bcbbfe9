"""A small convolutional network in flax: two layers of filters and a layer of weighted sums.

Every experiment takes it: `--model experiments.common.filters:network`, with a cost of weighted sums.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

SIDE, STRIDE, FILTERS = 5, 2, (8, 16)


def network(image_shape: tuple[int, int, int], num_classes: int) -> Callable[[nnx.Rngs], nnx.Module]:
    """What makes the network: 28 x 28 -> 12 x 12 x 8 -> 4 x 4 x 16 -> 10 for MNIST.
    Raises ValueError for images that are too small for it."""
    sides = [size_after(size_after(size)) for size in image_shape[:2]]
    if min(sides) < 1:
        raise ValueError(
            f"images of {image_shape[0]} x {image_shape[1]} pixels are too small for two layers of filters"
        )

    def make(rngs: nnx.Rngs) -> nnx.Module:
        layers: list[Any] = [lambda pixels: pixels.reshape(image_shape)]
        for before, after in zip((image_shape[2], *FILTERS), FILTERS, strict=False):
            filters = nnx.Conv(
                before, after, (SIDE, SIDE), STRIDE, padding="VALID", rngs=rngs,
                conv_general_dilated=convolve, kernel_init=as_matrix,
            )  # fmt: skip
            layers += [filters, jax.nn.relu]
        return nnx.Sequential(*layers, jnp.ravel, nnx.Linear(math.prod(sides) * FILTERS[-1], num_classes, rngs=rngs))

    return make


def size_after(size: int) -> int:
    """Places of a filter along one side.

    >>> size_after(28), size_after(12)
    (12, 4)
    """
    return (size - SIDE) // STRIDE + 1


def as_matrix(key: Array, shape: Sequence[int], dtype: Any) -> Array:
    """flax's own start, drawn as a matrix: the same numbers, but half the time to compile.

    >>> found = as_matrix(jax.random.key(0), (2, 2, 3, 4), jnp.float32)
    >>> bool((found == jax.nn.initializers.lecun_normal()(jax.random.key(0), (2, 2, 3, 4))).all())
    True
    """
    flat = jax.nn.initializers.lecun_normal()(key, (math.prod(shape[:-1]), shape[-1]), dtype)
    return flat.reshape(shape)


def convolve(images: Array, kernel: Array, strides: tuple[int, int], padding: Any, **_: Any) -> Array:
    """`jax.lax.conv_general_dilated` of images (n, height, width, channels), no padding, as one matrix product.
    Groups and dilations are not looked at. Three times as fast on a CPU, there and back, as XLA's own convolution,
    which does badly with few channels."""
    if padding != "VALID":
        raise ValueError(f"the padding is {padding}; only VALID, none, can be had")
    places = [
        (size - side) // step + 1 for size, side, step in zip(images.shape[1:3], kernel.shape, strides, strict=False)
    ]
    ends = [step * (count - 1) + 1 for step, count in zip(strides, places, strict=True)]
    down = [images[:, row : row + ends[0] : strides[0]] for row in range(kernel.shape[0])]
    bands = jnp.concatenate(down, axis=-1)
    along = [bands[:, :, column : column + ends[1] : strides[1]] for column in range(kernel.shape[1])]
    patches = jnp.concatenate(along, axis=-1)  # by column, row, channel: fewer slices, so less to compile, than at once
    return patches @ kernel.swapaxes(0, 1).reshape(-1, kernel.shape[-1])
