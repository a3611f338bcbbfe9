"""Steps, examples and the best learning rate against the batch size."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from experiments.common.race import Race, Settings


def frontier(result: Race, settings: Settings, headline: str, begun: str = "") -> Figure:
    """Steps to the target, examples to the target, and the rates that were best."""
    figure, axes = plots.new_figure(16, 6.4, columns=3)
    steps, examples, rates = axes[0]
    sizes = result.sizes.astype(float)
    fine = np.geomspace(sizes[0] / 1.5, sizes[-1] * 1.5, 200)
    draw_steps(steps, result, sizes, fine)
    draw_examples(examples, result, sizes, fine)
    draw_rates(rates, result, settings.learning_rates)
    steps.set_ylabel(f"steps to cost {settings.target:g}")
    examples.set_ylabel(f"examples to cost {settings.target:g}")
    steps.legend(fontsize=9, loc="upper right")
    for axis in axes[0]:
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("batch size B")
    plots.plain_log_ticks(rates.yaxis, settings.learning_rates)
    plots.headline(figure, headline)
    plots.note(figure, f"{begun}median and every start; learning rates chosen on two others")
    return figure


def draw_steps(axis: Axes, result: Race, sizes: np.ndarray, fine: np.ndarray) -> None:
    """Steps to the target, with the hyperbola and its two branches."""
    law = result.hyperbola
    draw_points(axis, sizes, result.steps)
    axis.plot(fine, law.at(fine), color="0.2", label="hyperbola, fitted")
    axis.plot(
        fine, law.least * law.critical / fine, color="0.5", linestyle=(0, (2, 2)),
        label="half the steps for twice the size",
    )  # fmt: skip
    axis.set_ylim(0.5 * np.nanmin(result.steps), 2 * np.nanmax(result.steps))
    axis.axhline(law.least, color="0.5", linestyle=":", label=f"S_min = {law.least:.3g} steps")
    axis.set_title(f"Steps: the hyperbola explains {100 * law.explained:.1f} %")
    draw_scales(axis, result)


def draw_examples(axis: Axes, result: Race, sizes: np.ndarray, fine: np.ndarray) -> None:
    """The same in examples."""
    law = result.hyperbola
    draw_points(axis, sizes, result.steps * sizes[:, None])
    axis.plot(fine, law.at(fine) * fine, color="0.2", label="hyperbola, fitted")
    plots.reference_line(axis, law.least * law.critical, f"E_min = {law.least * law.critical:,.0f} examples")
    axis.set_title("Examples: twice the least at B_crit (lines as on the left)")
    draw_scales(axis, result)


def draw_points(axis: Axes, sizes: np.ndarray, values: np.ndarray) -> None:
    """Every start as a dot, their median as a circle; values: sizes, seeds."""
    axis.plot(sizes, values, ".", color=plots.COLOURS[0], alpha=0.5, markersize=5)
    axis.plot(sizes, np.median(values, axis=1), "o", color=plots.COLOURS[0], markersize=8, label="measured, best rate")


def draw_scales(axis: Axes, result: Race) -> None:
    """Where the hyperbola bends, and the noise scale on the way down."""
    along, noise, critical = np.median(result.noise, axis=0), result.noise_scale, result.hyperbola.critical
    axis.axvline(critical, color=plots.COLOURS[1], linestyle="--", label=f"B_crit = {critical:,.3g}")
    axis.axvline(
        noise, color=plots.COLOURS[2], linestyle="-.",
        label=f"B_simple = {noise:,.3g} (on the way {along.min():.2g} to {along.max():.3g})",
    )  # fmt: skip


def draw_rates(axis: Axes, result: Race, grid: tuple[float, ...]) -> None:
    """The rate that was best for every batch size, and the edges of the grid."""
    axis.plot(result.sizes, result.rates, "o-", color=plots.COLOURS[0], label="best of the grid")
    for edge, text in ((min(grid), "smallest of the grid"), (max(grid), "largest of the grid")):
        plots.reference_line(axis, edge, text)
    axis.set_ylabel("learning rate")
    axis.set_title(f"The best rate rises up to B = {result.sizes[int(np.argmax(result.rates))]:,}")
    axis.legend(fontsize=9, loc="center right")
