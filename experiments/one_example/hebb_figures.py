"""How what is asked comes to go along Hebb's rule, what is strengthened, and how far three rules learn."""

from typing import Any

import numpy as np

from experiments.common import plots

RULES = ("backpropagation", "feedback\nalignment", "Hebb's rule\nalone")


def hebb(result: Any, settings: Any) -> plots.Figure:
    figure, ((left, middle, right),) = plots.new_figure(16, 5.8, columns=3)
    steps = settings.steps_per_leg * np.arange(result.accuracy.shape[2])
    names = [*(f"hidden layer {layer + 1}" for layer in range(result.aligned.shape[3] - 1)), "outputs"]
    for series, name in enumerate(names):
        plots.seed_band(left, steps, result.along_hebb[0, ..., series], series, f"into {name}")
    plots.seed_band(middle, steps, 100 * result.strengthened[0, ..., -1], len(names) - 1, f"into {names[-1]}")
    for series, name in enumerate(RULES):
        plots.seed_band(right, steps, 100 * result.accuracy[series], series + 3, name)
    plots.reference_line(left, 0, "")
    plots.reference_line(middle, 10, "one output of ten")
    plots.reference_line(middle, 50, "")
    plots.note(middle, "half: as much is\nto be weakened", (0, 50), (2, 4), ("axes fraction", "data"))
    plots.reference_line(right, 10, "chance")
    left.set(ylabel="correlation with Hebb's rule, mean of images", ylim=(-0.6, 1),
             title="What an image asks of the weights\nagainst how much their ends fire together")  # fmt: skip
    middle.set(ylabel="to be strengthened, % of all that is asked", ylim=(0, 100),
               title="How much of it, by size,\nis to be strengthened")  # fmt: skip
    right.set(ylabel="correct on the test images, %", ylim=(0, 100),
              title="Three rules,\neach at its best learning rate")  # fmt: skip
    for axes in (left, middle, right):
        axes.set_xscale("symlog", linthresh=steps[1])
        axes.set(xlabel="mini-batch steps")
    along = result.along_hebb[0, ..., -1].mean(axis=0)
    return plots.headline(
        figure,
        f"Training makes backpropagation Hebbian at the outputs: the correlation goes from {along[0]:.2f} to "
        f"{along[-1]:.2f}; yet Hebb's rule alone learns nothing",
        f"requests of {settings.num_looked_at:,} images, left and middle: backpropagation; median and range of seeds; "
        "headline: their mean",
    )
