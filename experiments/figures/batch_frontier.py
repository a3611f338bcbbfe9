"""The figure of batch_frontier: steps and examples to the target against the batch size, on a hyperbola; best rates."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from research import plots


def frontier_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Steps, examples, and the best learning rate, each against the batch size."""
    figure, axes = plots.new_figure(18, 6.2, columns=3)
    settings, sizes = record["settings"], arrays["sizes"]
    steps = np.where(np.isfinite(arrays["steps"]), arrays["steps"], np.median(arrays["steps"], axis=0))
    critical, least = record["hyperbola"]["critical"], record["hyperbola"]["min_steps"]
    fine = np.geomspace(sizes[0], sizes[-1], 300)
    for axis, measured, theory, limits, what in (
        (axes[0, 0], steps, least * (1 + critical / fine), (np.full(300, least), least * critical / fine), "steps"),
        (axes[0, 1], steps * sizes, least * (fine + critical), (np.full(300, least * critical), least * fine),
         "examples"),
    ):  # fmt: skip
        for limit in limits:
            axis.plot(fine, limit, color="0.5", linewidth=1, linestyle=(0, (2, 2)))
        axis.plot(fine, theory, color="0.2", linewidth=1.4, label=f"fit: S = {least:.0f} (1 + {critical:.0f}/B)")
        plots.seed_points(axis, sizes, measured, 0, "measured, best rate")
        axis.set_ylim(measured.min() / 2, 2 * measured.max())
        axis.set_ylabel(f"{what} until the cost is {settings['target']:g}")
        mark_batches(axis, record)
    axes[0, 0].set_title(f"Steps: at least {least:.0f}")
    axes[0, 1].set_title(f"Examples: at least {least * critical:,.0f}")
    rate_panel(axes[0, 2], record, arrays)
    figure.suptitle(textwrap.fill(record["finding"], 120), fontsize=14, fontweight="bold")
    figure.supxlabel(
        f"network {'-'.join(map(str, record['layer_sizes']))}, {record['dataset']['name']}; reached: cost on "
        f"{record['tested']:,} training images, looked at about every 2 % of the way; R² of the fit "
        f"{record['hyperbola']['r_squared']:.3f}; median and range of {settings['num_seeds']} seeds",
        fontsize=10,
    )
    return figure


def mark_batches(axis: Axes, record: dict) -> None:
    """B_crit of the fit and B_simple of the gradients as vertical lines; a logarithmic axis of batch sizes."""
    for series, (value, name) in enumerate(
        ((record["hyperbola"]["critical"], "B_crit of the fit"), (record["noise_scale"], "B_simple along the way")), 1
    ):
        axis.axvline(
            value,
            color=plots.COLOURS[series],
            linestyle=plots.LINES[series],
            linewidth=1.6,
            label=f"{name}: {value:.0f}",
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, [10**power for power in range(8)])
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    plots.plain_log_ticks(axis.yaxis, ticks_within(*axis.get_ylim()))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_xlabel("batch size B")
    axis.legend(fontsize=9)


def ticks_within(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten; powers of ten alone where there are more than three of them."""
    multiples = (1, 2, 5) if high / low < 1e3 else (1,)
    return [
        number * 10.0**power for power in range(-6, 12) for number in multiples if low <= number * 10.0**power <= high
    ]


def rate_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The best learning rates, with theory's: the largest batch's over 1 + B_crit/B."""
    sizes, rates, critical = arrays["sizes"], arrays["rates"], record["hyperbola"]["critical"]
    fine = np.geomspace(sizes[0], sizes[-1], 300)
    top = rates[-1] * (1 + critical / sizes[-1])
    axis.plot(
        fine,
        top / (1 + critical / fine),
        color="0.2",
        linewidth=1.4,
        label="theory: η_max / (1 + B_crit/B), B_crit of the fit",
    )
    axis.plot(sizes, rates, "o", color=plots.COLOURS[0], markersize=7, label="best of a grid of factors of 2")
    axis.set_ylabel("best learning rate η")
    axis.set_title("The best learning rate")
    axis.set_ylim(rates.min() / 3, 2 * rates.max())
    mark_batches(axis, record)
    axis.legend(fontsize=9, loc="lower right")
