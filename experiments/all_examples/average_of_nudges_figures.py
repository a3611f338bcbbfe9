"""The film's table with computed numbers: what it shows, and how it is drawn."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import asking, plots
from experiments.common.problem import Problem
from experiments.common.wish_tables import (
    MINUS,
    WISH_COLOURS,
    epochs_of,
    first_of_each,
    layer_slices,
    row_names,
    row_scaled,
    signed,
    sizes_of,
)
from research import data
from research.models import Params

FILMS_COLUMNS = (2, 5, 0, 4, 1, 9)  # the digits of the film's table, in its order


class Table(NamedTuple):
    """What single examples want of single parameters of one network, and the average of all."""

    rows: Int[np.ndarray, "rows"]  # the parameters
    labels: Int[np.ndarray, "columns"]  # of the examples
    images: np.ndarray  # columns, height, width, channels
    wanted: Float[np.ndarray, "rows columns"]
    average: Float[np.ndarray, "rows"]
    minus_gradient: Float[np.ndarray, "rows"]
    more: Float[np.ndarray, "rows"]  # share of all examples that want the parameter larger
    less: Float[np.ndarray, "rows"]
    layer_sizes: Int[np.ndarray, "layers"]


def tabulate(problem: Problem, params: Params, average: np.ndarray, minus_gradient: np.ndarray, network: int) -> Table:
    """The table of one of the networks."""
    here = jax.tree.map(lambda leaf: leaf[network], params)
    sizes, train = sizes_of(here), problem.train
    one_network = jax.tree.map(lambda leaf: leaf[network : network + 1], params)
    scatter = jax.tree.map(lambda leaf: leaf[0], asking.tallies(problem, one_network))
    rows = table_rows(scatter.mean_square, sizes)
    labels = np.asarray(train.targets).argmax(axis=1)
    present = [label for label in FILMS_COLUMNS if (labels == label).any()]
    columns = first_of_each(labels, present, 1)
    examples = jax.tree.map(lambda leaf: np.asarray(leaf)[columns], train)
    wanted = asking.flat_rows(jax.jit(asking.nudges(problem.example_cost))(here, examples))[:, rows].T
    images = np.asarray(data.unit_interval(jnp.asarray(examples.inputs))).reshape(-1, *problem.image_shape)
    ends = (average[network, rows], minus_gradient[network, rows], scatter.more[rows], scatter.less[rows])
    return Table(rows, labels[columns], images, wanted, *ends, np.array(sizes))


def table_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...]) -> np.ndarray:
    """The first and the last parameter, and from each layer the weight and the bias with the largest nudges."""
    loudest = [part.start + int(mean_square[part].argmax()) for pair in layer_slices(layer_sizes) for part in pair]
    return np.unique([0, *loudest, len(mean_square) - 1])


def table(found: Table, num_examples: int, num_epochs: int) -> Figure:
    """The film's table with computed numbers: one row a weight, one column an example, then the average of all."""
    wanted, average, minus_gradient = found.wanted, found.average, found.minus_gradient
    num_columns = wanted.shape[1]
    numbers = np.column_stack([wanted, average, minus_gradient])
    colours = np.column_stack(row_scaled(wanted, average, minus_gradient))
    figure, axes = plots.new_figure(4.2 + 1.15 * (num_columns + 3), 2.6 + 0.52 * len(wanted))
    axis = axes[0, 0]
    axis.imshow(np.pad(colours, ((0, 0), (0, 1))), cmap=WISH_COLOURS, vmin=-1.3, vmax=1.3, aspect="auto")
    for row, column in np.ndindex(numbers.shape):
        bold = "bold" if column >= num_columns else "normal"
        axis.text(column, row, signed(1000 * float(numbers[row, column])), ha="center", va="center", weight=bold)
    for row, (more, less) in enumerate(zip(found.more, found.less, strict=True)):
        axis.text(num_columns + 2, row, f"{100 * more:.0f} : {100 * less:.0f}", ha="center", va="center")
    headings = [
        *(f"a {label}" for label in found.labels),
        f"average of\nall {num_examples:,}",
        "minus the\ngradient",
        "want it\nup : down, %",
    ]
    axis.set_xticks(range(len(headings)), headings)
    axis.set_yticks(range(len(wanted)), row_names(found.rows, found.layer_sizes))
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.axvline(num_columns - 0.5, color="black", linewidth=2)
    thumbnails(axis, found.images)
    axis.set_xlabel(
        f"what each wants for each weight, in thousandths (blue +: more, orange {MINUS}: less; colours scaled row by "
        f"row), after {epochs_of(num_epochs)}\nrows: the first and the last parameter, and from every layer the "
        "weight and the bias with the largest wishes",
        fontsize=9,
    )
    title = "Every example has its own wish for each weight; averaged over all, the wishes are minus the gradient"
    plots.headline(figure, title)
    plots.note(figure, "first seed")
    return figure


def thumbnails(axis: Axes, images: np.ndarray) -> None:
    """Each example's image above its column."""
    for column, image in enumerate(images):
        place = axis.inset_axes((column - 0.4, -2.35, 0.8, 1.1), transform=axis.transData)
        place.imshow(image, cmap="gray", vmin=0, vmax=1)
        place.set_axis_off()
