"""Steps, examples and the best learning rate against the batch size."""

import numpy as np

from experiments.common import plots
from experiments.common.race import Race, Settings


def frontier(result: Race, settings: Settings, headline: str, begun: str = "") -> plots.Figure:
    figure, ((steps, examples, rates),) = plots.new_figure(16, 6.4, columns=3)
    law, sizes = result.hyperbola, result.sizes.astype(float)
    fine = np.geomspace(sizes[0] / 1.5, sizes[-1] * 1.5, 200)
    draw_points(steps, result, sizes, result.steps)
    draw_points(examples, result, sizes, result.steps * sizes[:, None])
    steps.plot(fine, law.at(fine), color="0.2")
    steps.plot(fine, law.least * law.critical / fine, color="0.5", linestyle=(0, (2, 2)))
    steps.axhline(law.least, color="0.5", linestyle=":")
    steps.text(0.02, 0.02, "dashed: twice\nthe size, half\nthe steps", transform=steps.transAxes, fontsize=9)
    steps.text(0.98, 0.02, f"dotted: S_min = {law.least:.3g} steps", transform=steps.transAxes, fontsize=9, ha="right")
    examples.plot(fine, law.at(fine) * fine, color="0.2")
    plots.reference_line(examples, law.least * law.critical, f"E_min = {law.least * law.critical:,.0f} examples")
    rates.plot(result.sizes, result.rates, "o-", color=plots.COLOURS[0])
    for edge, text in ((min, "smallest of the grid"), (max, "largest of the grid")):
        plots.reference_line(rates, edge(settings.learning_rates), text)
    for axis in (steps, examples, rates):
        axis.set(xscale="log", yscale="log", xlabel="batch size B")
    plots.plain_log_ticks(rates.yaxis, settings.learning_rates)
    target, reached = f"cost {settings.target:g}", (0.5 * np.nanmin(result.steps), 2 * np.nanmax(result.steps))
    steps.set(
        ylabel=f"steps to {target}", ylim=reached, title=f"The fitted hyperbola explains {100 * law.explained:.1f} %"
    )
    examples.set(ylabel=f"examples to {target}", title="At B_crit twice the least examples")
    largest = result.sizes[int(np.argmax(result.rates))]
    rates.set(ylabel="best learning rate of the grid", title=f"The best rate rises up to B = {largest:,}")
    return plots.headline(figure, headline, f"{begun}median and every start; learning rates chosen on two others")


def draw_points(axis: plots.Axes, result: Race, sizes: np.ndarray, values: np.ndarray) -> None:
    """Every start (sizes, seeds) as a dot, their median as a circle; where the hyperbola bends, and the noise scale."""
    blue, red, green, *_ = plots.COLOURS
    axis.plot(sizes, values, ".", color=blue, alpha=0.5, markersize=5)
    axis.plot(sizes, np.median(values, axis=1), "o", color=blue, markersize=8)
    along, critical, noise = np.median(result.noise, axis=0), result.hyperbola.critical, result.noise_scale
    on_the_way = f"noise scale B_simple = {noise:,.3g} ({along.min():.2g} to {along.max():.3g} on the way)"
    for x, colour, line, text in ((critical, red, "--", f"B_crit = {critical:,.3g}"), (noise, green, "-.", on_the_way)):
        axis.axvline(x, color=colour, linestyle=line)
        plots.note(axis, text, (x, 1), (-3, -2), ("data", "axes fraction"), rotation=90, color=colour)
