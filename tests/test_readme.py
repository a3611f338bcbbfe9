"""What the README says works: its commands and its snippets are run, in a folder outside the repository."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import forked
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if "-m" in line
]
SMALL = {  # words that make a command small, beside one seed and few images
    "full_batch_vs_sgd": "--layer-sizes 784 10 --batch-sizes 100 --learning-rates 4 --num-steps 20 --num-epochs 4",
    "new_cost": "--layer-sizes 784 10 --num-examples 120 --batch-size 10 --num-steps 20 --num-epochs 4 --resolution 5",
    "steepest": "--num-examples 100 --num-directions 500",
    "label_smoothing": "--num-examples 300 --smoothings 0 0.3",
}
FILES = {  # a user's own, and a word by which their snippet is known
    "my_costs.py": "def absolute",
    "my_models.py": "def thirty",
    "my_experiments/label_smoothing.py": "label_smoothing",
}


def snippet_with(word):
    return next(text for text in SNIPPETS if word in text)


@pytest.fixture
def folder(tmp_path):
    """A folder outside the repository with the files that the README tells one to write."""
    for name, word in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(snippet_with(word))
    return tmp_path


def test_there_are_commands_and_snippets():
    assert len(COMMANDS) == 5
    assert len(SNIPPETS) == 5


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line, folder, small_mnist):
    """As a user types them, but for the installation before, in a small size; the first one starts Python too."""
    words = shlex.split(line.rpartition("uv run ")[2])
    assert words[:3] == ["python", "-m", "experiments"]
    if len(words) > 3:
        name = words[3].rpartition(".")[2]
        words += ["--out", str(folder / "out"), "--dataset", str(small_mnist), "--num-seeds", "1", *SMALL[name].split()]
        words += [] if "--quick" in words else ["--quick"]
    if line == COMMANDS[0]:
        done = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True)
        code, errors = done.returncode, done.stderr
    else:
        code, _, errors = forked.start(words[1:], folder, folder / "said").ended()
    assert code == 0, errors
    if len(words) > 3:
        assert len(list((folder / "out" / name).glob("*.png"))) >= 1


def test_the_experiment_that_it_tells_one_to_write_is_short():
    assert 60 <= len(snippet_with("label_smoothing").splitlines()) <= 100


def test_the_averaging_snippet_prints_differences_of_rounding_only(tmp_path):
    code, out, errors = forked.start(["-c", snippet_with("per_example")], ROOT, tmp_path).ended()
    assert code == 0, errors
    differences = [float(number) for number in re.findall(r"\d\.\d*(?:e-?\d+)?", out)]
    assert len(differences) == 6
    assert max(differences) < 1e-6


def test_the_streaming_snippet_descends(tmp_path):
    code, out, errors = forked.start(["-c", snippet_with("streaming")], ROOT, tmp_path).ended()
    assert code == 0, errors
    costs = [float(number) for number in re.findall(r"\d\.\d+", out)]
    assert len(costs) == 6  # three epochs of two batches
    assert sum(costs[4:]) < sum(costs[:2])


def test_the_test_command_is_the_one_that_ci_runs():
    assert "pip install uv && uv run pytest" in README
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()
