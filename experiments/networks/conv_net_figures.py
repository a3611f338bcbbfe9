"""The figure of conv_net: accuracy along the training, and the filters."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

WANTED = 98.5  # % correct, of the claim


def page(result: Any, settings: Any) -> Figure:
    """Accuracy and filters side by side."""
    figure, axes = plots.new_figure(15, 6, columns=2, width_ratios=[1.1, 1])
    own = settings.model.rpartition(":")[2] or "convolutional"
    networks = {own: result.conv, "plain": result.plain}
    draw_accuracy(axes[0, 0], networks, settings.num_seeds)
    draw_filters(axes[0, 1], result.filters)
    said = [f"{100 * np.median(each.accuracy[:, -1]):.2f} % right with {each.num_parameters:,} parameters ({name})"
            for name, each in networks.items()]  # fmt: skip
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    plots.headline(figure, f"Test images after {epochs}: {', '.join(said)}")
    rates = " and ".join(format(each.rate, "g") for each in networks.values())
    seconds = " and ".join(format(each.seconds, ".0f") for each in networks.values())
    plots.note(
        figure, f"batches of {settings.batch_size}, cost {settings.cost.rpartition(':')[2]}, learning rates {rates}; "
        f"training took {seconds} s",
    )  # fmt: skip
    return figure


def draw_accuracy(axes: Axes, networks: dict[str, Any], num_seeds: int) -> None:
    """Accuracy on the test set against epochs, the better part of the scale."""
    for series, (name, each) in enumerate(networks.items()):
        label = f"{name}, {each.num_parameters:,} parameters"
        plots.seed_band(axes, each.epochs, 100 * each.accuracy, series, label)
    lowest = min(100 * np.median(each.accuracy, axis=0)[-1] for each in networks.values())
    axes.set_ylim(max(0.0, min(90.0, lowest - 5)), 100)
    axes.axhline(WANTED, color="0.35", linestyle=(0, (2, 2)), linewidth=1, label=f"{WANTED} %, asked for")
    axes.set_xlabel("epochs; the learning rate falls to zero in the second half")
    axes.set_ylabel("correct on the test images, %")
    axes.set_title("Accuracy on new images")
    axes.legend(loc="lower right", title=f"median and range of {num_seeds} seed{'s' * (num_seeds != 1)}")


def draw_filters(axes: Axes, filters: np.ndarray) -> None:
    """The first layer's filters side by side, blue for positive, red for negative weights."""
    axes.axis("off")
    if not filters.size:
        axes.set_title("No filters in this network")
        return
    side, count = filters.shape[0], filters.shape[2]
    columns = -(-count // 2)
    sheet = np.full((2 * (side + 1) - 1, columns * (filters.shape[1] + 1) - 1), np.nan)
    for number in range(count):
        row, column = divmod(number, columns)
        top, left = row * (side + 1), column * (filters.shape[1] + 1)
        sheet[top : top + side, left : left + filters.shape[1]] = filters[:, :, number]
    largest = float(np.abs(filters).max())
    image = axes.imshow(sheet, cmap="RdBu", vmin=-largest, vmax=largest)
    axes.figure.colorbar(image, ax=axes, shrink=0.75, label="weight")
    axes.set_title(f"What the first layer looks for: its {count} filters, {side} x {side} pixels, first seed")
