"""What figures share that show what examples want of single weights: places, names, colours."""

import itertools

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from experiments.common import plots
from research.models import Layer

MINUS = "\N{MINUS SIGN}"
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
WISH_COLOURS = LinearSegmentedColormap.from_list("wishes", (plots.COLOURS[1], "white", plots.COLOURS[0]))


def layer_slices(layer_sizes: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Where the weights and the biases of every layer lie among w_0, w_1, ...

    >>> layer_slices((2, 3))
    [(slice(0, 6, None), slice(6, 9, None))]
    """
    slices, begin = [], 0
    for num_in, num_out in itertools.pairwise(layer_sizes):
        middle, end = begin + num_in * num_out, begin + num_out * (num_in + 1)
        slices.append((slice(begin, middle), slice(middle, end)))
        begin = end
    return slices


def first_of_each(labels: np.ndarray, classes: list[int], how_many: int) -> np.ndarray:
    """Where the first examples of each class are, class by class."""
    return np.concatenate([np.flatnonzero(labels == label)[:how_many] for label in classes])


def parameter_name(index: int, layer_sizes: tuple[int, ...]) -> str:
    """Where the film's w_index sits, and its name: neurons counted from 0, in layers of weights counted from 1.

    >>> for index in (785, 12577, 13001):
    ...     print(parameter_name(index, (784, 16, 16, 10)))
    pixel 1 to neuron 1 of layer 1   w₇₈₅
    neuron 1 to neuron 1 of layer 2   w₁₂₅₇₇
    bias of output 9   w₁₃₀₀₁
    """
    slices = layer_slices(layer_sizes)
    layer = next(layer for layer, (_, biases) in enumerate(slices) if index < biases.stop)
    weights, biases = slices[layer]
    end = "output {}" if layer == len(slices) - 1 else f"neuron {{}} of layer {layer + 1}"
    if index < weights.stop:
        neuron, source = divmod(index - weights.start, layer_sizes[layer])
        place = f"{'neuron' if layer else 'pixel'} {source} to {end.format(neuron)}"
    else:
        place = f"bias of {end.format(index - biases.start)}"
    return f"{place}   w{str(index).translate(SUBSCRIPTS)}"


def row_scaled(wanted: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Every row divided by its largest wish in size, so that small and large ones are seen alike; zeros stay.

    >>> wanted, others = np.array([[1.0, -4.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [3.0, 0.0]])
    >>> [array.tolist() for array in row_scaled(wanted, others)]
    [[[0.25, -1.0], [0.0, 0.0]], [[0.5, 0.0], [3.0, 0.0]]]
    """
    largest = np.abs(wanted).max(axis=1)
    scale = np.where(largest > 0, largest, 1)
    return [(array.T / scale).T for array in (wanted, *others)]


def sizes_of(params: list[Layer]) -> tuple[int, ...]:
    return (params[0].weights.shape[-1], *(layer.biases.shape[-1] for layer in params))


def epochs_of(num_epochs: int) -> str:
    return "1 epoch of training" if num_epochs == 1 else f"{num_epochs} epochs of training"
