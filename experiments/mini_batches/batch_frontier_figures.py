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
    law, sizes = result.hyperbola, result.sizes.astype(float)
    fine = np.geomspace(sizes[0] / 1.5, sizes[-1] * 1.5, 200)
    draw_points(steps, result, sizes, result.steps)
    draw_points(examples, result, sizes, result.steps * sizes[:, None])
    steps.plot(fine, law.at(fine), color="0.2", label="hyperbola, fitted")
    examples.plot(fine, law.at(fine) * fine, color="0.2")
    branch = law.least * law.critical / fine
    steps.plot(fine, branch, color="0.5", linestyle=(0, (2, 2)), label="half the steps for twice the size")
    steps.axhline(law.least, color="0.5", linestyle=":", label=f"S_min = {law.least:.3g} steps")
    plots.reference_line(examples, law.least * law.critical, f"E_min = {law.least * law.critical:,.0f} examples")
    rates.plot(result.sizes, result.rates, "o-", color=plots.COLOURS[0], label="best of the grid")
    for edge, text in ((min, "smallest of the grid"), (max, "largest of the grid")):
        plots.reference_line(rates, edge(settings.learning_rates), text)
    for axis in axes[0]:
        axis.set(xscale="log", yscale="log", xlabel="batch size B")
    plots.plain_log_ticks(rates.yaxis, settings.learning_rates)
    steps.set_ylim(0.5 * np.nanmin(result.steps), 2 * np.nanmax(result.steps))
    steps.set(ylabel=f"steps to cost {settings.target:g}",
              title=f"Steps: the hyperbola explains {100 * law.explained:.1f} %")  # fmt: skip
    examples.set(ylabel=f"examples to cost {settings.target:g}",
                 title="Examples: twice the least at B_crit (lines as on the left)")  # fmt: skip
    largest = result.sizes[int(np.argmax(result.rates))]
    rates.set(ylabel="learning rate", title=f"The best rate rises up to B = {largest:,}")
    steps.legend(fontsize=9, loc="upper right")
    rates.legend(fontsize=9, loc="center right")
    return plots.headline(figure, headline, f"{begun}median and every start; learning rates chosen on two others")


def draw_points(axis: Axes, result: Race, sizes: np.ndarray, values: np.ndarray) -> None:
    """Every start (sizes, seeds) as a dot, their median as a circle; where the hyperbola bends, and the noise scale."""
    blue, red, green, *_ = plots.COLOURS
    axis.plot(sizes, values, ".", color=blue, alpha=0.5, markersize=5)
    axis.plot(sizes, np.median(values, axis=1), "o", color=blue, markersize=8, label="measured, best rate")
    along, critical = np.median(result.noise, axis=0), result.hyperbola.critical
    axis.axvline(critical, color=red, linestyle="--", label=f"B_crit = {critical:,.3g}")
    noise = f"B_simple = {result.noise_scale:,.3g} (on the way {along.min():.2g} to {along.max():.3g})"
    axis.axvline(result.noise_scale, color=green, linestyle="-.", label=noise)
