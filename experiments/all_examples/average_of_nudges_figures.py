"""The film's table with computed numbers: what it shows, and how it is drawn."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import asking, plots, wish_tables
from experiments.common.asking import Wishes
from experiments.common.problem import Problem
from experiments.common.wish_tables import MINUS
from research import data
from research.models import Params

FILMS_COLUMNS = (2, 5, 0, 4, 1, 9)  # the digits of the film's table, in its order


class Table(NamedTuple):
    """What single examples want of single parameters of one network, and the average of all."""

    wishes: Wishes
    average: Float[np.ndarray, "rows"]
    images: np.ndarray  # columns, height, width, channels


def tabulate(problem: Problem, params: Params, average: np.ndarray) -> Table:
    """The table of one network, the leaves of whose `params` lead with an axis of length one."""
    scatter, here = jax.tree.map(lambda leaf: leaf[0], (asking.tallies(problem, params), params))
    rows = table_rows(scatter.mean_square, wish_tables.sizes_of(here))
    labels = np.asarray(problem.train.targets).argmax(axis=1)
    columns = wish_tables.first_of_each(labels, list(FILMS_COLUMNS), 1)
    images = np.asarray(data.unit_interval(problem.train.inputs[columns])).reshape(-1, *problem.image_shape)
    return Table(asking.wishes(problem, here, scatter, rows, columns), average[rows], images)


def table_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...]) -> np.ndarray:
    """The first and the last parameter, and from each layer the weight and the bias with the largest nudges."""
    loudest = [
        part.start + int(mean_square[part].argmax()) for pair in wish_tables.layer_slices(layer_sizes) for part in pair
    ]
    return np.unique([0, *loudest, len(mean_square) - 1])


def signed(value: float) -> str:
    """Three digits with a sign; an exact zero without.

    >>> signed(12.345), signed(0.00001), signed(0.0)
    ('+12.3', '+0.000', '0')
    """
    digits = f"{value:+.3f}" if abs(value) < 1 else f"{value:+#.3g}".rstrip(".")
    return digits.replace("-", MINUS) if value else "0"


def table(found: Table, num_examples: int, num_epochs: int) -> Figure:
    """The film's table with computed numbers: one row a weight, one column an example, then the average of all."""
    shown, columns = found.wishes, (found.wishes.wanted, found.average, found.wishes.minus_gradient)
    numbers, colours = np.column_stack(columns), np.column_stack(wish_tables.row_scaled(*columns))
    num_rows, num_columns = shown.wanted.shape
    figure, axes = plots.new_figure(4.2 + 1.15 * (num_columns + 3), 2.6 + 0.52 * num_rows)
    axis, centred = axes[0, 0], {"ha": "center", "va": "center"}
    axis.imshow(np.pad(colours, ((0, 0), (0, 1))), cmap=wish_tables.WISH_COLOURS, vmin=-1.3, vmax=1.3, aspect="auto")
    for row, column in np.ndindex(numbers.shape):
        bold = "bold" if column >= num_columns else "normal"
        axis.text(column, row, signed(1000 * float(numbers[row, column])), weight=bold, **centred)
    for row, (more, less) in enumerate(zip(shown.more, shown.less, strict=True)):
        axis.text(num_columns + 2, row, f"{100 * more:.0f} : {100 * less:.0f}", **centred)
    for column, image in enumerate(found.images):  # each above its column
        place = axis.inset_axes((column - 0.4, -2.35, 0.8, 1.1), transform=axis.transData)
        place.imshow(image, cmap="gray", vmin=0, vmax=1)
        place.set_axis_off()
    headings = [f"average of\nall {num_examples:,}", "minus the\ngradient", "want it\nup : down, %"]
    axis.set_xticks(range(num_columns + 3), [*(f"a {label}" for label in shown.labels), *headings])
    axis.set_yticks(range(num_rows), shown.names)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.axvline(num_columns - 0.5, color="black", linewidth=2)
    signs = f"blue +: more, orange {MINUS}: less; colours scaled row by row"
    rows = "the first and the last parameter, and from every layer the weight and the bias with the largest wishes"
    when = wish_tables.epochs_of(num_epochs)
    axis.set_xlabel(
        f"what each wants for each weight, in thousandths ({signs}), after {when}\nrows: {rows}", fontsize=9
    )
    title = "Every example has its own wish for each weight; averaged over all, the wishes are minus the gradient"
    return plots.headline(figure, title, "first seed")
