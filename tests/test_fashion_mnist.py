"""A second real data set, from the four files of Debian's package dataset-fashion-mnist: run with `-m slow`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from research import data

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where the package puts them

pytestmark = pytest.mark.slow


def test_its_folder_holds_as_many_of_each_class_and_is_not_mnist():
    for split, count in (("train", 60_000), ("test", 10_000)):
        found = data.load(str(FOLDER), split)
        assert found.inputs.shape == (count, 784)
        assert found.inputs.dtype == np.uint8
        assert found.targets.sum(axis=0).tolist() == [count / 10] * 10
        assert data.checksum(found) != data.checksum(data.load("mnist", split))


@pytest.mark.parametrize("name", ["full_batch_vs_sgd", "drunk_man", "minibatch_quality", "nudges", "new_cost"])
def test_experiments_take_it_by_its_folder_and_claim_nothing_about_mnist(name, tmp_path):
    words = ["-m", "experiments", name, "--quick", "--dataset", str(FOLDER), "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / name / "run.json").read_text())
    assert record["dataset"]["name"] == str(FOLDER)
    seen = record["dataset"]["train"]  # new_cost takes the first images only
    first = data.Examples(*(leaf[: seen["count"]] for leaf in data.load(str(FOLDER))))
    assert seen["sha256"] == data.checksum(first)
    exact = ("T35", "E17", "T28")  # what must hold on any data: gradients, and that what is drawn is what was trained
    assert all(claim["holds"] for claim in record["claims"] if claim["id"] in exact)
