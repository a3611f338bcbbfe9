"""What many examples want of many weights, before and after training: what is shown, and how it is drawn."""

import itertools
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.common import asking, plots
from experiments.common.asking import Tally
from experiments.common.problem import Problem
from experiments.common.wish_tables import (
    MINUS,
    WISH_COLOURS,
    epochs_of,
    first_of_each,
    layer_slices,
    row_names,
    row_scaled,
    sizes_of,
)
from research.models import Params

HEAT_ROWS = 12  # parameters of every layer in the heat map
HEAT_COLUMNS = 4  # examples of every class in the heat map


class Stage(NamedTuple):
    """What some examples want of some parameters of one network."""

    rows: Int[np.ndarray, "rows"]  # the parameters
    labels: Int[np.ndarray, "columns"]  # of the examples
    wanted: Float[np.ndarray, "rows columns"]
    average: Float[np.ndarray, "rows"]  # of all examples
    more: Float[np.ndarray, "rows"]  # share of all examples that want the parameter larger
    less: Float[np.ndarray, "rows"]
    layer_sizes: Int[np.ndarray, "layers"]


def stages(problem: Problem, params: Params, scatter: Tally, settings: Any) -> tuple[Stage, Stage]:
    """The first seed's network, untrained and trained."""
    trained = settings.num_seeds
    labels = np.asarray(problem.train.targets).argmax(axis=1)
    columns = first_of_each(labels, sorted(set(labels.tolist())), HEAT_COLUMNS)
    examples = jax.tree.map(lambda leaf: np.asarray(leaf)[columns], problem.train)
    nudges = jax.jit(asking.nudges(problem.example_cost))
    gradient = jax.jit(jax.grad(problem.cost))
    sizes = sizes_of(jax.tree.map(lambda leaf: leaf[0], params))
    rows = heat_map_rows(scatter.mean_square[trained], sizes, settings.seed)

    def stage(network: int) -> Stage:
        here = jax.tree.map(lambda leaf: leaf[network], params)
        wanted = asking.flat_rows(nudges(here, examples))[:, rows].T
        average = -np.asarray(asking.flat(gradient(here, problem.train)))[rows]
        shares = scatter.more[network, rows], scatter.less[network, rows]
        return Stage(rows, labels[columns], wanted, average, *shares, np.array(sizes))

    return stage(0), stage(trained)


def heat_map_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """From each layer HEAT_ROWS parameters for which anyone asks, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    rows = []
    for weights, biases in layer_slices(layer_sizes):
        asked = weights.start + np.flatnonzero(mean_square[weights.start : biases.stop])
        rows.append(np.sort(rng.choice(asked, min(HEAT_ROWS, len(asked)), replace=False)))
    return np.concatenate(rows)


def heat_map(result: Any, num_epochs: int) -> Figure:
    """Many more weights and examples, before and after training; a wish for less carries a dash besides its colour."""
    num_columns = len(result.before.labels)
    figure, axes = plots.new_figure(17, 9, columns=4, sharey=True, width_ratios=(num_columns, 2, num_columns, 2))
    both = (result.before, result.after)
    titles = ("before training", f"after {epochs_of(num_epochs)}")
    for stage, title, (left, right) in zip(both, titles, axes[0].reshape(2, 2), strict=True):
        scaled = row_scaled(stage.wanted, stage.average)
        wanted, average = (np.sign(array) * np.sqrt(np.abs(array)) for array in scaled)
        wishes(left, wanted)
        wishes(right, average[:, None])
        name_classes(left, stage.labels)
        left.set_title(title)
        left.set_xlabel(f"examples, the first {HEAT_COLUMNS} of every class")
        right.set_xticks([0], [f"average\nof all {result.num_examples:,}"])
    rows = result.before.rows
    axes[0, 0].set_yticks(range(len(rows)), row_names(rows, result.before.layer_sizes), fontsize=8)
    bar = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), WISH_COLOURS), ax=axes, shrink=0.5, ticks=(-1, -0.5, 0, 0.5, 1)
    )
    bar.ax.set_yticklabels([f"{MINUS} less: {MINUS}1", f"{MINUS}1/4", "0", "+1/4", "+ more: +1"])
    bar.set_label("what the example wants for the weight,\nas a share of the largest wish in its row")
    agree = [100 * agreement(stage.more, stage.less) for stage in both]
    plots.headline(
        figure,
        f"Which way should a weight go? Before training {agree[0]:.0f} % of the examples that care agree, after "
        f"{epochs_of(num_epochs)} {agree[1]:.0f} % (median of {len(rows)} weights)",
    )
    plots.note(figure, "first seed; colours scaled row by row")
    return figure


def agreement(more: np.ndarray, less: np.ndarray) -> float:
    """Of the examples that want a weight changed, the share of the larger side; the median over weights.

    >>> agreement(np.array([0.5, 0.0]), np.array([0.5, 0.2]))
    0.75
    """
    care = more + less > 0
    return float(np.median(np.maximum(more, less)[care] / (more + less)[care])) if care.any() else 1.0


def wishes(axis: Axes, matrix: np.ndarray) -> None:
    """A heat map of numbers between -1 and 1, with a dash on the negative ones."""
    rows, columns = np.nonzero(matrix < 0)
    axis.plot(columns, rows, linestyle="none", marker="_", color="black", markersize=3.5, markeredgewidth=0.7)
    axis.grid(False)
    axis.tick_params(length=0)
    axis.imshow(matrix, cmap=WISH_COLOURS, vmin=-1, vmax=1, aspect="auto")


def name_classes(axis: Axes, labels: np.ndarray) -> None:
    """Names each run of equal labels below its columns and draws a line where one ends."""
    changes = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    for begin in changes[1:-1]:
        axis.axvline(begin - 0.5, color="black", linewidth=0.8)
    centres = [(begin + end - 1) / 2 for begin, end in itertools.pairwise(changes)]
    axis.set_xticks(centres, [f"{labels[begin]}s" for begin in changes[:-1]])
