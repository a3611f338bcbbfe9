"""play.html: the template with networks, images and the hill in it; it asks for nothing outside itself."""

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.common import plots

TEMPLATE = Path(__file__).with_name("play.html")


def page(result: Any, dataset: str, rates: tuple[float, float], batch_size: int) -> bytes:
    """`rates` of the careful man and of the drunk man, and how many images the latter asks, at first."""
    shown = {
        "dataset": Path(dataset).name,
        "sizes": result.sizes.tolist(),
        "shape": result.train_images.shape[1:],
        "labels": np.concatenate([result.train_labels, result.test_labels]).tolist(),
        "trainCount": len(result.train_images),
        "sheet": sheet(np.concatenate([result.train_images, result.test_images])),
        "networks": {"untrained": plots.in_base64(result.start), "trained": plots.in_base64(result.trained)},
        "accuracy": result.accuracy,
        "origin": plots.in_base64(result.origin),
        "directions": [plots.in_base64(direction) for direction in result.directions],
        "alphas": rounded(result.view.alphas),
        "betas": rounded(result.view.betas),
        "surface": [rounded(row) for row in result.view.surface],
        "rates": rates,
        "batchSize": batch_size,
    }
    return plots.filled(TEMPLATE, shown).encode()


def sheet(images: np.ndarray) -> str:
    """All images, row by row, in one PNG that is about square, as the address of a picture."""
    count, height, width = images.shape
    across = math.ceil(count**0.5)
    padded = np.zeros((across * math.ceil(count / across), height, width), np.uint8)
    padded[:count] = images
    tiled = padded.reshape(-1, across, height, width).swapaxes(1, 2).reshape(-1, across * width)
    file = io.BytesIO()
    Image.fromarray(tiled).save(file, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
