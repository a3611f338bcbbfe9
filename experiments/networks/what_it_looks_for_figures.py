"""The first layer's weights as images, and how sensitive the cost is behind every pixel."""

from typing import Any

import numpy as np

from experiments.common import plots


def tiles(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Images (count, pixels), each in units of its largest weight, side by side in a near-square with a line between.

    >>> tiles(np.array([[1.0, 2.0]] * 3), (1, 2, 1)).shape
    (4, 6)
    """
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    height, width, _ = shape
    whole = np.full((rows * (height + 1), columns * (width + 1)), np.nan)
    for place, image in enumerate(images):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        picture = image.reshape(shape).sum(axis=2)
        whole[top : top + height, left : left + width] = picture / (np.abs(picture).max() or 1)
    return whole


def show(axes: plots.Axes, image: np.ndarray, title: str, **options) -> None:
    axes.imshow(image, **options)
    axes.set_title(title)
    axes.axis("off")


def weights(result: Any) -> plots.Figure:
    figure, ((left, middle, right),) = plots.new_figure(16, 6, columns=3)
    for axes, look, when in ((left, 0, "before training"), (middle, -1, plots.when(result.epochs[-1]))):
        show(axes, tiles(result.weights[look], result.image_shape), f"a neuron's weights, {when}\n"
             "bright: lit pixels raise it, dark: lower it", cmap="cividis", vmin=-1, vmax=1)  # fmt: skip
    epochs = np.maximum(result.epochs, result.epochs[1] / 3)
    plots.seed_band(right, epochs, 100 * result.coarse, 0, "the\nweights", marker="o")
    plots.seed_band(right, epochs[1:], 100 * result.coarse_change, 1, "what training\nadded", marker="s")
    for share, name in ((result.coarse_images, "images of digits"), (result.coarse_noise, "white noise")):
        plots.reference_line(right, 100 * share, name)
    plots.panel(right, "How much of it is coarse\n(at most 4 waves across the image)", "epochs",
                "share of the variance, %", log_x=epochs, ylim=(0, 100))  # fmt: skip
    right.set_xticklabels(["start", *(f"{epoch:g}" for epoch in result.epochs[1:])])
    start, end = 100 * np.median(result.coarse[:, [0, -1]], axis=0)
    return plots.headline(
        figure,
        f"A neuron starts as noise and ends as blots and strokes: its weights are {start:.0f} % coarse before and "
        f"{end:.0f} % after training, where digits are {100 * result.coarse_images:.0f} %",
        "images: first seed; right: median and range",
    )


def sensitivity(result: Any) -> plots.Figure:
    figure, ((left, middle, right),) = plots.new_figure(14, 5.6, columns=3)
    shape = result.image_shape
    picture = lambda values: values.reshape(shape).mean(axis=2)
    show(left, picture(result.weight_sensitivity[0]), "to the weights behind a pixel, untrained:\n"
         "mean |dC/dw|, the mean digit", cmap="magma")  # fmt: skip
    for axes, look, when in ((middle, 0, "untrained:\nnoise"), (right, -1, "trained:\nwhere the strokes are")):
        show(axes, picture(result.pixel_sensitivity[look]), f"to the pixel itself, {when}", cmap="magma", vmin=0)
        axes.contour(picture(result.black), levels=[0.5], colors="white", linewidths=1)
    before, after = 100 * np.median(result.share_on_black[:, [0, -1]], axis=0)
    return plots.headline(
        figure,
        "Before training the cost's sensitivity to the pixels is noise; those that no image ever lights carry "
        f"{before:.1f} % of it, and {after:.1f} % after training",
        "bright: sensitive; beyond the white lines, towards the edge: black in every image; drawn: first seed",
    )
