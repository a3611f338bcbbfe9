"""What many examples want of many weights, before and after training: what is shown, and how it is drawn."""

import itertools
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.common import asking, plots, wish_tables
from experiments.common.asking import Tally, Wishes
from experiments.common.problem import Problem
from experiments.common.wish_tables import MINUS, WISH_COLOURS
from research.models import Params

HEAT_ROWS = 12  # parameters of every layer in the heat map
HEAT_COLUMNS = 4  # examples of every class in the heat map
SHOWN = slice(None, None, 3)  # of the rows those that are drawn: their names can be read


def stages(problem: Problem, params: Params, scatter: Tally, settings: Any) -> tuple[Wishes, Wishes]:
    """The first seed's network, untrained and trained; the rows are drawn among what the trained one asks for."""
    labels = np.asarray(problem.train.targets).argmax(axis=1)
    columns = wish_tables.first_of_each(labels, sorted(set(labels.tolist())), HEAT_COLUMNS)
    both = [jax.tree.map(lambda leaf, at=at: leaf[at], (params, scatter)) for at in (0, settings.num_seeds)]
    rows = heat_map_rows(both[1][1].mean_square, wish_tables.sizes_of(both[1][0]), settings.seed)
    before, after = (asking.wishes(problem, here, asked, rows, columns) for here, asked in both)
    return before, after


def heat_map_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """From each layer HEAT_ROWS parameters for which anyone asks, drawn at random, in their order."""
    rng, rows = np.random.default_rng(seed), []
    for weights, biases in wish_tables.layer_slices(layer_sizes):
        asked = weights.start + np.flatnonzero(mean_square[weights.start : biases.stop])
        rows.append(np.sort(rng.choice(asked, min(HEAT_ROWS, len(asked)), replace=False)))
    return np.concatenate(rows)


def heat_map(result: Any, num_epochs: int) -> Figure:
    """Many more weights and examples, before and after training; a wish for less carries a dash besides its colour."""
    num_columns, after = len(result.before.labels), f"after {wish_tables.epochs_of(num_epochs)}"
    figure, axes = plots.new_figure(17, 6.5, columns=4, sharey=True, width_ratios=(num_columns, 2, num_columns, 2))
    both = (result.before, result.after)
    for stage, title, (left, right) in zip(both, ("before training", after), axes[0].reshape(2, 2), strict=True):
        scaled = wish_tables.row_scaled(stage.wanted, stage.minus_gradient)
        wanted, average = (np.sign(array) * np.sqrt(np.abs(array)) for array in scaled)
        draw_wishes(left, wanted[SHOWN])
        draw_wishes(right, average[SHOWN, None])
        name_classes(left, stage.labels)
        left.set(title=title, xlabel=f"examples, the first {HEAT_COLUMNS} of every class")
        right.set_xticks([0], [f"average\nof all {result.num_examples:,}"])
    names = result.before.names[SHOWN]
    axes[0, 0].set_yticks(range(len(names)), names)
    colours, ticks = ScalarMappable(Normalize(-1, 1), WISH_COLOURS), (-1, -0.5, 0, 0.5, 1)
    bar = figure.colorbar(colours, ax=axes, shrink=0.5, ticks=ticks)
    bar.ax.set_yticklabels([f"{MINUS} less: {MINUS}1", f"{MINUS}1/4", "0", "+1/4", "+ more: +1"])
    bar.set_label("what the example wants for the weight,\nas a share of the largest wish in its row")
    first, last = (100 * agreement(stage.more, stage.less) for stage in both)
    title = f"Which way should a weight go? Before training {first:.0f} % of the examples that care agree, "
    says = f"{after} {last:.0f} % (median of {len(result.before.names)} weights)"
    return plots.headline(
        figure, title + says, f"first seed; {len(names)} of these weights are drawn; colours scaled row by row"
    )


def agreement(more: np.ndarray, less: np.ndarray) -> float:
    """Of the examples that want a weight changed, the share of the larger side; the median over weights."""
    care = more + less > 0
    return float(np.median(np.maximum(more, less)[care] / (more + less)[care])) if care.any() else 1.0


def draw_wishes(axis: Axes, matrix: np.ndarray) -> None:
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
