"""Figure of batch_frontier: steps, examples and the best learning rate against the batch size."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots


def frontier_figure(record: dict, all_arrays: dict[str, np.ndarray], race: str) -> Figure:
    """Steps to the target, examples to the target, and the rates that were best, of one of the record's races."""
    figure, axes = plots.new_figure(16, 6.4, columns=3)
    steps, examples, rates = axes[0]
    arrays = {name.removeprefix(f"{race}_"): each for name, each in all_arrays.items() if name.startswith(race)}
    hyperbola, sizes = record["hyperbolas"][race], arrays["sizes"].astype(float)
    fine = np.geomspace(sizes[0] / 1.5, sizes[-1] * 1.5, 200)
    law = hyperbola["least_steps"] * (1 + hyperbola["critical"] / fine)
    least_examples = hyperbola["least_steps"] * hyperbola["critical"]
    draw_points(steps, sizes, arrays["steps"])
    steps.plot(fine, law, color="0.2", label="hyperbola, fitted")
    steps.plot(
        fine, least_examples / fine, color="0.5", linestyle=(0, (2, 2)), label="half the steps for twice the size"
    )
    steps.set_ylim(0.5 * np.nanmin(arrays["steps"]), 2 * np.nanmax(arrays["steps"]))
    least = hyperbola["least_steps"]
    steps.axhline(least, color="0.5", linestyle=":", label=f"S_min = {least:.3g} steps")
    steps.set_ylabel(f"steps to cost {record['settings']['target']:g}")
    steps.set_title(f"Steps: the hyperbola explains {100 * hyperbola['explained']:.1f} %")
    draw_points(examples, sizes, arrays["steps"] * sizes[:, None])
    examples.plot(fine, law * fine, color="0.2", label="hyperbola, fitted")
    plots.reference_line(examples, least_examples, f"E_min = {least_examples:,.0f} examples")
    examples.set_ylabel(f"examples to cost {record['settings']['target']:g}")
    examples.set_title("Examples: twice the least at B_crit (lines as on the left)")
    draw_rates(rates, record, arrays)
    for axis in (steps, examples):
        draw_scales(axis, hyperbola, arrays)
        axis.set_yscale("log")
    steps.legend(fontsize=9, loc="upper right")
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_xlabel("batch size B")
    past = record["settings"]["past"] if race == "past_the_plateau" else 0
    plots.headline(figure, past_title(past, hyperbola, arrays) if past else title(hyperbola, arrays))
    begun = f"begun where full-batch descent is at cost {past:g}; " if past else ""
    plots.foot(
        figure, record,
        f"{begun}median and every one of {record['settings']['num_seeds']} starts; learning rates chosen on two others",
    )  # fmt: skip
    return figure


def past_title(past: float, hyperbola: dict, arrays: dict[str, np.ndarray]) -> str:
    """How far the noise scale is from where the hyperbola bends, once the plateau lies behind."""
    ratio = float(np.median(arrays["noise"].mean(axis=1))) / hyperbola["critical"]
    return f"Begun at cost {past:g}, past the plateau, the noise scale is {ratio:.1f} times B_crit (1/5 to 5 expected)"


def title(hyperbola: dict, arrays: dict[str, np.ndarray]) -> str:
    """Where larger batches stop to save steps, and what the full batch costs, in words."""
    sizes, steps = arrays["sizes"], np.median(arrays["steps"], axis=1)
    dearer = steps[-1] * sizes[-1] / (steps[0] * sizes[0])
    return (
        f"From batches of about {hyperbola['critical']:.0f} on no larger one saves more than half of the "
        f"steps; batches of {sizes[-1]:,} read {dearer:,.0f} times as many examples as batches of {sizes[0]}"
    )


def draw_points(axis: Axes, sizes: np.ndarray, values: np.ndarray) -> None:
    """Every start as a dot, their median as a circle; values: sizes, seeds."""
    axis.plot(sizes, values, ".", color=plots.COLOURS[0], alpha=0.5, markersize=5)
    axis.plot(sizes, np.median(values, axis=1), "o", color=plots.COLOURS[0], markersize=8, label="measured, best rate")


def draw_scales(axis: Axes, hyperbola: dict, arrays: dict[str, np.ndarray]) -> None:
    """Where the hyperbola bends, and the noise scale on the way down."""
    noise = float(np.median(arrays["noise"].mean(axis=1)))
    along = np.median(arrays["noise"], axis=0)
    critical = hyperbola["critical"]
    axis.axvline(critical, color=plots.COLOURS[1], linestyle="--", label=f"B_crit = {critical:,.3g}")
    axis.axvline(
        noise,
        color=plots.COLOURS[2],
        linestyle="-.",
        label=f"B_simple = {noise:,.3g} (on the way {along.min():.2g} to {along.max():.3g})",
    )


def draw_rates(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The rate that was best for every batch size, and the edges of the grid."""
    grid = record["settings"]["learning_rates"]
    axis.plot(arrays["sizes"], arrays["rates"], "o-", color=plots.COLOURS[0], label="best of the grid")
    for edge, text in ((min(grid), "smallest of the grid"), (max(grid), "largest of the grid")):
        plots.reference_line(axis, edge, text)
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, grid)
    axis.set_ylabel("learning rate")
    top = arrays["sizes"][int(np.argmax(arrays["rates"]))]
    axis.set_title(f"The best rate rises up to B = {top:,}")
    axis.legend(fontsize=9, loc="center right")
