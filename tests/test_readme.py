"""What the README says works: its commands and its snippets are run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if "-m" in line
]


def run_command(line, folder):
    """The command as a user types it, but for the installation before it, in a small size and an empty folder."""
    words = shlex.split(line.rpartition("uv run ")[2])
    if words[-1] != "experiments":
        words += ["--out", str(folder / "out"), *([] if "--quick" in words else ["--quick"])]
    assert words[0] == "python"
    return subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True)


def test_there_are_commands_and_snippets():
    assert len(COMMANDS) >= 3
    assert len(SNIPPETS) >= 2


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line, tmp_path):
    (tmp_path / "my_costs.py").write_text(next(text for text in SNIPPETS if "def absolute" in text))
    done = run_command(line, tmp_path)
    assert done.returncode == 0, done.stderr
    if "--cost" in line:
        assert (tmp_path / "out" / "new_cost" / "new_cost.png").exists()


@pytest.fixture(scope="module")
def printed():
    """What the averaging snippet and the flax snippet print, one after the other in one process, which is quicker."""
    both = [next(text for text in SNIPPETS if word in text) for word in ("per_example_gradients", "flax_models")]
    code = "\nprint('next snippet')\n".join(both)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("next snippet")


def test_the_averaging_snippet_prints_differences_of_rounding_only(printed):
    differences = [float(number) for number in re.findall(r"\d\.\d*(?:e-?\d+)?", printed[0])]
    assert len(differences) == 6
    assert max(differences) < 1e-6


def test_the_flax_snippet_takes_a_gradient(printed):
    assert printed[1].count("kernel") == 2


def test_the_test_command_is_the_one_that_ci_runs():
    assert "pip install uv && uv run pytest" in README
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()
