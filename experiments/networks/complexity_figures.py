"""How time, operations and memory grow with data, network and batch: six panels."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

PLAIN = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 3, 5)]  # ticks of times


def page(result: Any, depth_width: int, num_images: int) -> Figure:
    figure, axes = plots.new_figure(19, 10.5, rows=2, columns=3)
    for axis in axes.flat:
        axis.set(xscale="log", yscale="log")
    (data, memory, operations), (width, depth, batch) = axes
    slope, (work, times) = np.median(result.slopes), result.width.growth
    draw_times(data, result.examples, "gradient of the cost", "in proportion to N")
    data.set(xlabel="N, images", title=f"Time grows as N to the {slope:.2f} for the largest N")
    draw_memory(memory, result)
    draw_operations(operations, result.network_formula, result.network_flops)
    draw_growth(width, result.width, "Width")
    width.set_xlabel("neurons of the one hidden layer")
    draw_growth(depth, result.depth, "Depth")
    depth.set_xlabel(f"hidden layers of {depth_width} neurons")
    draw_batches(batch, result.batch, num_images)
    says = f"The time of a gradient grows with the images as N to the {slope:.2f}; with {work:.3g} times the operations"
    foot = (f"one device, float32; below over {num_images:,} images; each time the median of three, all in turn, "
            "compilation left out; median and range of the rounds")  # fmt: skip
    return plots.headline(figure, f"{says} it grows {times:.3g}-fold", foot)


def draw_times(axis: Axes, sweep: Any, label: str, proportional: str) -> None:
    """Milliseconds, beside those that the operations would take at the largest one's rate."""
    plots.seed_band(axis, sweep.x, 1000 * sweep.seconds, 0, label)
    in_proportion = 1000 * np.median(sweep.seconds[:, -1]) * sweep.flops / sweep.flops[-1]
    axis.plot(sweep.x, in_proportion, color="0.4", linestyle=(0, (2, 2)), linewidth=1, label=proportional)
    plots.plain_log_ticks(axis.yaxis, PLAIN)
    axis.set_ylabel("milliseconds")
    axis.legend()


def draw_growth(axis: Axes, sweep: Any, name: str) -> None:
    draw_times(axis, sweep, "measured", "in proportion to the operations")
    plots.plain_log_ticks(axis.xaxis, sweep.x.tolist())
    work, took = sweep.growth
    axis.set_title(f"{name} {sweep.x[0]} to {sweep.x[-1]}: {work:.3g} times the operations,\n{took:.3g} times the time")


def draw_memory(axis: Axes, result: Any) -> None:
    """Megabytes that XLA sets aside for the gradient over N images."""
    x, at_once, chunked = result.examples.x, result.at_once_bytes / 1e6, result.chunked_bytes / 1e6
    axis.plot(x, at_once, "o", linestyle=plots.LINES[0], color=plots.COLOURS[0], label="all images at once")
    axis.plot(x, chunked, "s", linestyle=plots.LINES[1], color=plots.COLOURS[1], label="in chunks of 1,000")
    axis.set(xlabel="N, images", ylabel="megabytes while it runs, images apart",
             title=f"{x[-1]:,} images: {at_once[-1]:,.0f} MB at once, {chunked[-1]:,.3g} MB in chunks")  # fmt: skip
    axis.legend()


def draw_operations(axis: Axes, formula: np.ndarray, counted: np.ndarray) -> None:
    """XLA's count against the formula, for one example of every network."""
    axis.plot(formula, counted, "o", color=plots.COLOURS[0], markersize=8, label="every network of this page")
    axis.plot(formula[0], counted[0], "*", color=plots.COLOURS[1], markersize=16, zorder=5,
              label=f"the network of the settings: {counted[0] / 1000:.1f} kFLOP, by formula "
              f"{formula[0] / 1000:.1f}")  # fmt: skip
    ends, off = np.array([formula.min(), formula.max()]), np.abs(counted / formula - 1).max()
    axis.plot(ends, ends, color="0.4", linestyle=(0, (2, 2)), linewidth=1, label="equal")
    axis.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.85", label="within 10 %", linewidth=0)
    axis.set(xlabel="operations of one example by formula: 6 a weight, 4 in the first layer", ylabel="counted by XLA",
             title=f"XLA's count is within {100 * off:.1f} % of the formula")  # fmt: skip
    axis.legend(fontsize=9)


def draw_batches(axis: Axes, sweep: Any, num_images: int) -> None:
    """Microseconds an example of one pass over the images in batches of every size."""
    plots.seed_band(axis, sweep.x, 1e6 * sweep.seconds / num_images, 0, "one pass in mini-batches, a step each")
    plots.plain_log_ticks(axis.xaxis, sweep.x.tolist())
    plots.plain_log_ticks(axis.yaxis, PLAIN)
    axis.set(xlabel="batch size", ylabel="microseconds an example",
             title=f"A pass in batches of {sweep.x[0]} takes {1 / sweep.growth[1]:.3g} times\nthat in batches of "
             f"{sweep.x[-1]:,}")  # fmt: skip
    axis.legend()
