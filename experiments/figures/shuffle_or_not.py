"""The figure of shuffle_or_not: how near each way of drawing comes to a known optimum, and the network's cost."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.common import plots

MARKERS = "os^Dv"


def comparison_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Left the convex case on its theory; then the network's cost after every epoch, and its ratios."""
    figure, axes = plots.new_figure(18, 6.4, columns=3, width_ratios=(1.3, 1, 1))
    convex_panel(axes[0, 0], record, arrays)
    network_panel(axes[0, 1], record, arrays)
    ratio_panel(axes[0, 2], record, arrays)
    plots.headline(figure, title(record, arrays))
    settings, data = record["settings"], record["dataset"]
    figure.supxlabel(
        f"left: {record['num_images']} images of {data['name']}, {settings['chains']} chains for each of "
        f"{settings['num_seeds']} seeds; middle, right: network {'-'.join(map(str, record['layer_sizes']))}, "
        f"{data['train']['count']:,} images, batches of {settings['batch_size']}, η = {settings['learning_rate']:g}, "
        f"median and range of {settings['num_seeds']} seeds",
        fontsize=10,
    )
    return figure


def title(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """How near shuffles and lots come to a known optimum, and what the worst order costs the network, in words."""
    anew, by_lot = (record["slopes"][record["names"].index(name)] for name in ("shuffled anew", "drawn by lot"))
    last = arrays["cost"][..., -1]
    ratios = np.median(last / last[:1], axis=1)
    nearer = "comes nearer to the optimum" if anew > by_lot else "comes no nearer to the optimum"
    return (
        f"Shuffled anew, one image a step {nearer} than drawn by lot: squared distance as η to the power {anew:.2f}, "
        f"not {by_lot:.2f}; {record['names'][int(np.argmax(ratios))]}, the network ends at {ratios.max():.2g} times "
        "the cost"
    )


def convex_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The mean squared distance to the optimum against the rate: markers measured, lines theory."""
    rates = arrays["rates"]
    bias, variance = arrays["anew"]
    theories = (bias + variance, None, arrays["by_lot"], *arrays["resting"])
    for series, (name, theory) in enumerate(zip(record["names"], theories, strict=True)):
        colour = plots.COLOURS[series]
        axis.plot(
            rates, arrays["distance"][series].mean(axis=0), MARKERS[series], color=colour, markersize=7,
            label=f"{name}: slope {record['slopes'][series]:.2f}",
        )  # fmt: skip
        if theory is not None:
            axis.plot(rates, theory, color=colour, linestyle=plots.LINES[series], linewidth=1.4)
    axis.plot(rates, bias, color="0.4", linewidth=1, linestyle=(0, (1, 3)), label="the bias of reshuffling alone, η²")
    axis.plot([], [], color="0.3", linewidth=1.4, label="lines: theory, nothing fitted (shuffled anew: of small steps)")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("learning rate η")
    axis.set_ylabel("mean squared distance to the optimum, ends of epochs")
    axis.set_title("Least squares, one image a step")
    axis.legend(fontsize=9, loc="lower right")


def network_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The cost on the training set after every epoch."""
    epochs = np.arange(1, arrays["cost"].shape[-1] + 1)
    for series, name in enumerate(record["names"]):
        accuracy = 100 * np.median(arrays["accuracy"][series, :, -1])
        plots.seed_band(axis, epochs, arrays["cost"][series], series, f"{name}: {accuracy:.1f} % right")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epochs")
    axis.set_ylabel("cost on the training set")
    axis.set_title("The network: cost after every epoch")
    axis.legend(fontsize=9, title="and of the test images at the end", title_fontsize=9)


def ratio_panel(axis: Axes, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The cost over that with fresh shuffles from the same start, where it is not far beyond."""
    cost = arrays["cost"]
    epochs, ratios = np.arange(1, cost.shape[-1] + 1), cost / cost[:1]
    for series, name in enumerate(record["names"]):
        if series > 0 and np.median(ratios[series]) < 3:
            plots.seed_band(axis, epochs, ratios[series], series, name)
    axis.axhline(1, color=plots.COLOURS[0], label=record["names"][0])
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epochs")
    axis.set_ylabel("cost over that of the same start shuffled anew")
    axis.set_title("The same, over that shuffled anew")
    axis.legend(fontsize=9)
