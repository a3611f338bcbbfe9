"""The figure of one_noisy_step: what a step gains at every rate, and the batch size that gains half."""

from typing import Any

import numpy as np

from experiments.common import plots

FALLS = -0.2  # where a falling line is named


def gains(result: Any, rates: np.ndarray, says: str) -> plots.Figure:
    """The gain of one step against its rate, by batch size; and the batch size with half of the full batch's gain."""
    figure, [[left, right]] = plots.new_figure(13, 5.5, columns=2)
    shown = int(np.argmin(np.abs(np.median(result.cost, axis=0) - 0.9)))
    fine, most = np.geomspace(rates[0], rates[-1], 200), np.median(result.gain[:, shown, -1].max(axis=-1))
    for series, index in enumerate((0, 2, 4, -1)):
        plots.seed_points(left, rates, result.gain[:, shown, index] / most, series)
        foretold = np.median(result.foretold(fine)[:, shown, index], axis=0) / most
        left.plot(fine, foretold, color=plots.COLOURS[series], linestyle=plots.LINES[series])
        name = "full batch" if index < 0 else f"B = {result.sizes[index]}"
        falls = max(np.count_nonzero(foretold > FALLS) - 1, 0)
        plots.note(left, name, (fine[falls], foretold[falls]), (8, 0), va="center", color=plots.COLOURS[series])
    left.set(xscale="log", xlabel="learning rate η", ylabel="mean fall of the cost, over the full batch's best",
             ylim=(-1, 1.2), title=f"One step, {result.epochs[shown]:g} epochs into training")  # fmt: skip
    for series, name in enumerate(("measured", "foretold with\ntr(HΣ) and G'HG", "foretold by\ntr Σ / |G|² alone")):
        plots.seed_band(right, result.epochs, result.halves[series], series, name, marker="o")
    right.set(yscale="log", xlabel="epochs of training", ylabel="batch size with half of the full batch's gain")
    right.set_xscale("symlog", linthresh=0.05)
    right.set(xlim=(-0.01, 1.2 * result.epochs[-1]))
    right.set_xticks(result.epochs, [f"{when:g}" for when in result.epochs])
    foot = f"points: measured, lines: to second order; N = {result.sizes[-1]:,} images; median and range"
    return plots.headline(figure, says, foot)
