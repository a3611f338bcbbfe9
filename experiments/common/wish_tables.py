"""What figures share that show what examples want of single weights: places, names, colours."""

import itertools

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from experiments.common import plots

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
    """Where the first examples of each class are, class by class.

    >>> first_of_each(np.array([5, 2, 2, 5, 2]), [2, 5], 2).tolist()
    [1, 2, 0, 3]
    """
    return np.concatenate([np.flatnonzero(labels == label)[:how_many] for label in classes])


def parameter_name(index: int, layer_sizes: tuple[int, ...]) -> str:
    """Where the film's w_index sits: neurons counted from 0, in layers of weights counted from 1.

    >>> parameter_name(0, (784, 16, 16, 10)), parameter_name(13001, (784, 16, 16, 10))
    ('pixel 0 to neuron 0 of layer 1', 'bias of output 9')
    """
    for layer, (num_in, num_out) in enumerate(itertools.pairwise(layer_sizes), start=1):
        last = layer == len(layer_sizes) - 1
        if index < num_out * num_in:
            neuron, source = divmod(index, num_in)
            origin = f"pixel {source}" if layer == 1 else f"neuron {source}"
            return f"{origin} to output {neuron}" if last else f"{origin} to neuron {neuron} of layer {layer}"
        index -= num_out * num_in
        if index < num_out:
            return f"bias of output {index}" if last else f"bias of neuron {index} of layer {layer}"
        index -= num_out
    raise ValueError(f"there is no parameter so far behind the last of a network {layer_sizes}")


def row_scaled(wanted: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Every row divided by its largest request in size, so that small and large ones are seen alike; zeros stay."""
    largest = np.abs(wanted).max(axis=1)
    scale = np.where(largest > 0, largest, 1)
    return [(array.T / scale).T for array in (wanted, *others)]


def signed(value: float) -> str:
    """Three digits with a sign; an exact zero without.

    >>> signed(12.345), signed(0.00001), signed(0.0)
    ('+12.3', '+0.000', '0')
    """
    digits = f"{value:+.3f}" if abs(value) < 1 else f"{value:+#.3g}".rstrip(".")
    return digits.replace("-", MINUS) if value else "0"


def row_names(rows: np.ndarray, layer_sizes: np.ndarray) -> list[str]:
    """The parameters' places and the film's names for them.

    >>> row_names(np.array([13001]), np.array([784, 16, 16, 10]))
    ['bias of output 9   w₁₃₀₀₁']
    """
    return [
        f"{parameter_name(int(row), tuple(map(int, layer_sizes)))}   w{str(row).translate(SUBSCRIPTS)}" for row in rows
    ]


def sizes_of(params: list) -> tuple[int, ...]:
    """The layer sizes of plain layers."""
    return (params[0].weights.shape[1], *(len(layer.biases) for layer in params))


def epochs_of(num_epochs: int) -> str:
    """In words."""
    return "1 epoch of training" if num_epochs == 1 else f"{num_epochs} epochs of training"
