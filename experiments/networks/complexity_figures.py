"""How time, operations and memory grow with data, network and batch: six panels."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

MEGABYTE = 1e6
PLAIN = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 3, 5)]  # ticks of times


def page(result: Any, depth_width: int, num_images: int) -> Figure:
    """Data and memory and operations above; width, depth and batch below."""
    figure, axes = plots.new_figure(19, 10.5, rows=2, columns=3)
    time_of_data(axes[0, 0], result)
    memory(axes[0, 1], result)
    operations(axes[0, 2], result)
    network_time(axes[1, 0], "width", "neurons of the one hidden layer", result)
    network_time(axes[1, 1], "depth", f"hidden layers of {depth_width} neurons", result)
    batches(axes[1, 2], result, num_images)
    seconds, work = of("width", result)[1:]
    times = np.median(seconds[:, -1]) / np.median(seconds[:, 0])
    plots.headline(
        figure,
        f"The time of a gradient grows with the images as N to the {np.median(result.slopes):.2f}; with "
        f"{work[-1] / work[0]:.3g} times the operations it grows {times:.3g}-fold",
    )
    plots.note(figure, f"one device, float32; below over {num_images:,} images; each time the median of three, all in "
               "turn, compilation left out; median and range of the rounds")  # fmt: skip
    return figure


def of(sweep: str, result: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, seconds (rounds, points), operations) of one sweep, in the order of x."""
    places = result.of(sweep)
    places = places[np.argsort(result.x[places])]
    return result.x[places], result.seconds[:, places], result.flops[places]


def time_of_data(axis: Axes, result: Any) -> None:
    """Seconds of the gradient over N images."""
    x, seconds, _ = of("examples", result)
    plots.seed_band(axis, x, 1000 * seconds, 0, "gradient of the cost")
    axis.plot(x, 1000 * np.median(seconds[:, -1]) * x / x[-1], color="0.4", linestyle=(0, (2, 2)), linewidth=1,
              label="in proportion to N")  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, PLAIN)
    axis.set_xlabel("N, images")
    axis.set_ylabel("milliseconds")
    axis.set_title(f"Time grows as N to the {np.median(result.slopes):.2f} for the largest N")
    axis.legend()


def memory(axis: Axes, result: Any) -> None:
    """Megabytes that XLA sets aside for the gradient over N images."""
    x = of("examples", result)[0]
    labels = {"at_once_bytes": "all images at once", "chunked_bytes": "in chunks of 1,000"}
    for series, (name, label) in enumerate(labels.items()):
        colour, line = plots.COLOURS[series], plots.LINES[series]
        axis.plot(x, getattr(result, name) / MEGABYTE, color=colour, linestyle=line, marker="os"[series], label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("N, images")
    axis.set_ylabel("megabytes while it runs, images apart")
    at_once, chunked = (getattr(result, name)[-1] / MEGABYTE for name in ("at_once_bytes", "chunked_bytes"))
    axis.set_title(f"{x[-1]:,} images: {at_once:,.0f} MB at once, {chunked:,.3g} MB in chunks")
    axis.legend()


def operations(axis: Axes, result: Any) -> None:
    """XLA's count against the formula, for one example of every network."""
    formula, counted = result.network_formula, result.network_flops
    axis.plot(formula, counted, "o", color=plots.COLOURS[0], markersize=8, label="every network of this page")
    axis.plot(formula[0], counted[0], "*", color=plots.COLOURS[1], markersize=16, zorder=5,
              label=f"the network of the settings: {counted[0] / 1000:.1f} kFLOP, by formula "
              f"{formula[0] / 1000:.1f}")  # fmt: skip
    ends = np.array([formula.min(), formula.max()])
    axis.plot(ends, ends, color="0.4", linestyle=(0, (2, 2)), linewidth=1, label="equal")
    axis.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.85", label="within 10 %", linewidth=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("operations of one example by formula: 6 a weight, 4 in the first layer")
    axis.set_ylabel("counted by XLA")
    off = np.abs(counted / formula - 1).max()
    axis.set_title(f"XLA's count is within {100 * off:.1f} % of the formula")
    axis.legend(fontsize=9)


def network_time(axis: Axes, sweep: str, name: str, result: Any) -> None:
    """Seconds of the gradient for other networks, beside the operations' share of the largest one's time."""
    x, seconds, flops = of(sweep, result)
    plots.seed_band(axis, x, 1000 * seconds, 0, "measured")
    axis.plot(x, 1000 * np.median(seconds[:, -1]) * flops / flops[-1], color="0.4", linestyle=(0, (2, 2)), linewidth=1,
              label="in proportion to the operations")  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, x.tolist())
    plots.plain_log_ticks(axis.yaxis, PLAIN)
    axis.set_xlabel(name)
    axis.set_ylabel("milliseconds")
    took, work = np.median(seconds[:, -1]) / np.median(seconds[:, 0]), flops[-1] / flops[0]
    axis.set_title(
        f"{sweep.capitalize()} {x[0]} to {x[-1]}: {work:.3g} times the operations,\n{took:.3g} times the time"
    )
    axis.legend()


def batches(axis: Axes, result: Any, num_images: int) -> None:
    """Seconds of one pass over the images in batches of every size."""
    x, seconds, _ = of("batch", result)
    per_example = 1e6 * seconds / num_images
    plots.seed_band(axis, x, per_example, 0, "one pass in mini-batches, a step each")
    middle = np.median(per_example, axis=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, x.tolist())
    axis.set_xlabel("batch size")
    plots.plain_log_ticks(axis.yaxis, PLAIN)
    axis.set_ylabel("microseconds an example")
    axis.set_title(
        f"A pass in batches of {x[0]} takes {middle[0] / middle[-1]:.3g} times\nthat in batches of {x[-1]:,}"
    )
    axis.legend()
