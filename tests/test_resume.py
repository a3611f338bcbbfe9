"""A run that was stopped goes on: the same bits, nothing computed twice, and nothing lost where a checkpoint is."""

import functools
import gc
import json
import os
import signal
import sys
import time
import types
from functools import partial
from pathlib import Path
from unittest import mock

import forked
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common import resume, runs
from research.data import DataError

pytestmark = pytest.mark.usefixtures("saves_at_once")

ROOT = Path(__file__).parents[1]
ABOUT = {"settings": {"seed": 0}, "code": "x"}
KEYS = jax.random.split(jax.random.key(0), 4)


class Stopped(Exception):
    pass


@functools.cache
def programs() -> tuple:
    """The first six calls, compiled once for all tests."""
    over_seeds = partial(runs.compiled_over_seeds, in_axes=(0,))
    return (
        over_seeds(lambda key: (jax.random.normal(key, (3,)), jnp.zeros((0, 2)), jnp.nan)),
        over_seeds(jnp.sin),
        jax.jit(lambda x: jax.random.split(jax.random.key(7), 2)),
        over_seeds(lambda x: x / 3),
        over_seeds(lambda x: jnp.cumsum(jnp.cos(x))),
        over_seeds(lambda x: {"sum": jnp.sum(x)}),
    )


def measure(computed: list[int], stop_after: int = 99) -> list:
    """Seven calls, each of what the last gave: shared out over two devices, of float64, of nothing, with a key, and a
    time; those that are computed are noted."""

    def step(number, fun, *args):
        def compute():
            if number > stop_after:
                raise Stopped
            computed.append(number)
            return fun(*args)

        return resume.recall(compute, lambda: jax.eval_shape(fun, *args))

    drawn, sine, two_keys, a_third, added_up, total = programs()
    first = step(1, drawn, KEYS)
    second = step(2, sine, first[0])
    keys = step(3, two_keys, second)
    with jax.enable_x64(True):
        third = step(4, a_third, np.asarray(second, np.float64))
    fourth = step(5, added_up, second[:3])
    fifth = step(6, total, fourth)
    seconds = resume.recall(lambda: time.perf_counter(), lambda: 0.0)
    return [first, second, jax.random.key_data(keys), third, fourth, fifth, step(7, jnp.mean, fourth), float(seconds)]


def bits(tree) -> list:
    return [(np.asarray(leaf).dtype, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(tree)]


def stopped(results: Path, stop_after: int) -> list[int]:
    computed = []
    with pytest.raises(Stopped), resume.journal(results, ABOUT, go_on=False):
        measure(computed, stop_after)
    return computed


def gone_on(results: Path, about=ABOUT) -> tuple[list[int], list]:
    computed = []
    with resume.journal(results, about, go_on=True):
        found = measure(computed)
    return computed, found


@pytest.mark.parametrize("stop_after", [0, 1, 2, 4, 5, 6])
def test_it_goes_on_after_the_last_call_that_was_saved_with_the_same_bits(stop_after, tmp_path, capsys):
    assert stopped(tmp_path / "name", stop_after) == list(range(1, stop_after + 1))
    computed, found = gone_on(tmp_path / "name")
    again = [3] if stop_after > 2 else []  # a random key is no number, so it is not saved
    assert computed == again + list(range(stop_after + 1, 8))
    assert bits(found[:-1]) == bits(measure([])[:-1])
    assert ("goes on after" if stop_after else "nothing is saved") in capsys.readouterr().out


def test_arrays_come_back_to_the_devices_that_they_lay_on(tmp_path):
    stopped(tmp_path / "name", 6)
    _, found = gone_on(tmp_path / "name")
    assert all(
        before.sharding.is_equivalent_to(after.sharding, before.ndim)
        for before, after in zip(jax.tree.leaves(measure([])[1:5:3]), jax.tree.leaves(found[1:5:3]), strict=True)
    )
    assert found[3].dtype == jnp.float64


def test_ten_and_more_arrays_of_one_call_come_back_in_their_order(tmp_path):
    numbers = [np.full(2, number, np.float32) for number in range(12)]
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        resume.recall(lambda: list(map(jnp.asarray, numbers)), lambda: None)
    with resume.journal(tmp_path / "name", ABOUT, go_on=True):
        found = resume.recall(lambda: pytest.fail("computed again"), lambda: numbers)
    np.testing.assert_array_equal(found, numbers)


def test_seconds_are_those_of_the_stopped_run(tmp_path):
    before = time.perf_counter()
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        then = measure([])[-1]
    _, found = gone_on(tmp_path / "name")
    assert before < found[-1] == then < time.perf_counter()


def test_what_is_timed_is_not_kept(tmp_path):
    calls = []
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        for _ in range(2):
            runs.seconds_in_turn({"one": lambda: calls.append(resume.recall(lambda: jnp.ones(1), lambda: None))}, 3)
    assert len(calls) == 8
    assert not resume.place_of(tmp_path / "name").exists()


@pytest.mark.parametrize("changed", ["settings", "code"])
def test_with_other_settings_or_code_it_says_so_and_starts_anew(changed, tmp_path, capsys):
    stopped(tmp_path / "name", 5)
    computed, _ = gone_on(tmp_path / "name", {**ABOUT, changed: "other"})
    assert computed == list(range(1, 8))
    assert f"that run had other {changed}" in capsys.readouterr().out


def test_without_the_word_it_starts_anew(tmp_path):
    stopped(tmp_path / "name", 5)
    assert stopped(tmp_path / "name", 2) == [1, 2]
    assert gone_on(tmp_path / "name")[0] == list(range(3, 8))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax leaves reads behind that failed
def test_a_damaged_checkpoint_is_computed_again(tmp_path, capsys):
    rng = np.random.default_rng(0)
    stopped(tmp_path / "name", 6)
    files = [path for path in (resume.place_of(tmp_path / "name") / "calls").rglob("*") if path.is_file()]
    for path in files:  # one bit of each, or nothing left of it
        content = bytearray(path.read_bytes())
        if content and rng.random() < 0.7:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        else:
            content = content[: len(content) // 2]
        path.write_bytes(bytes(content))
    _, found = gone_on(tmp_path / "name")
    assert bits(found[:-1]) == bits(measure([])[:-1])
    assert "is damaged" in capsys.readouterr().out
    gc.collect()  # here, and not in another test


def test_a_checkpoint_of_which_one_call_is_damaged_is_not_believed(tmp_path, capsys):
    stopped(tmp_path / "name", 6)
    with resume.journal(tmp_path / "name", ABOUT, go_on=True):
        journal = resume.CURRENT.get()
        (whole, *_) = journal.restored(journal.steps[-1]).values()
        damaged = {name: leaf if name == resume.DIGEST else leaf + 1 for name, leaf in whole.items()}
        for calls, believed in (({"1": whole, "2": whole}, True), ({"1": whole, "2": damaged}, False)):
            with mock.patch.object(journal.manager, "restore", return_value=calls):
                assert bool(journal.restored(journal.steps[-1])) is believed
    assert "is damaged" in capsys.readouterr().out


def test_what_a_read_left_behind_says_is_not_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: told.append(str(said.exc_value)))
    resume.hush_what_is_left_behind()
    for error in (RuntimeError("Event loop is closed"), RuntimeError("another one")):
        sys.unraisablehook(types.SimpleNamespace(exc_value=error))
    assert told == ["another one"]


def test_saving_takes_the_share_of_the_time_that_it_may(monkeypatch, tmp_path):
    now, saved = [0.0], []
    monkeypatch.setattr(resume, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(resume, "SHARE", 0.02)

    def takes_three_seconds(journal):
        saved.append(now[0])
        now[0] += 3

    monkeypatch.setattr(resume.Journal, "try_room", takes_three_seconds)
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        for _ in range(320):  # calls of a second each
            now[0] += 1
            resume.recall(lambda: jnp.ones(1), lambda: None)
    assert np.diff(saved).tolist() == [3 + 3 / 0.02] * 2


def test_a_second_run_into_the_same_folder_is_refused(tmp_path):
    journal = partial(resume.journal, tmp_path / "name", ABOUT)
    with journal(go_on=False), pytest.raises(DataError, match=r"another run into .*name goes on"), journal(go_on=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_program_within_a_trace_is_part_of_it(tmp_path):
    inner = resume.kept(jax.jit(lambda x: x + 1))
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        assert float(resume.kept(jax.jit(lambda x: jnp.sum(inner(x))))(jnp.ones(3))) == 6
    assert os.listdir(resume.place_of(tmp_path / "name") / "calls") == ["1"]


def test_where_it_cannot_save_it_says_so_and_goes_on(tmp_path, capsys):
    computed = []
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        resume.place_of(tmp_path / "name").write_text("a file of somebody's")
        measure(computed)
    assert computed == list(range(1, 8))
    assert capsys.readouterr().out.count("no more checkpoints") == 1


def test_what_is_too_large_is_computed_again(monkeypatch, tmp_path):
    monkeypatch.setattr(resume, "HELD", 100)  # bytes: the first call gives 3 numbers to each of 4 seeds, and 4 more
    stopped(tmp_path / "name", 6)
    monkeypatch.setattr(resume, "TOTAL", 100)
    assert gone_on(tmp_path / "name")[0] == [3, 7]


def test_what_waits_to_be_saved_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(resume, "PAUSE", 1e9)
    monkeypatch.setattr(resume, "HELD", 100)
    with resume.journal(tmp_path / "name", ABOUT, go_on=False):
        for _ in range(5):
            resume.recall(lambda: jnp.ones(10, jnp.float32), lambda: None)
        journal = resume.CURRENT.get()
        assert (sorted(journal.pending), journal.held, journal.bytes) == (["1", "2"], 80, 80)


TINY = """
import time
import types
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import optax

from experiments.common import descents, experiment, resume, stopping
from experiments.common.descents import Method

resume.PAUSE, resume.SHARE = 0.0, float("inf")
stopping.listen()


@dataclass(frozen=True)
class Settings(experiment.Settings):
    pass


QUICK = FULL = Settings()


class Result(NamedTuple):
    costs: np.ndarray


def measure(problem, settings):
    params, order = descents.begin(problem, settings, 1)
    costs = []
    for _ in range(4):
        found = descents.follow(problem, Method("batches", 10, optax.sgd(1.0)), params, order, num_legs=2)
        params = found.end
        costs.append(found.curve.cost[:, -1])
        time.sleep(0.3)
    return Result(np.stack(costs))


def claims(result, settings):
    return []


def finding(result, settings):
    return "It ends."


def figures(result, settings):
    return {}
"""


ALL = """
import sys

from experiments import __main__
from experiments.common import chapters, stopping

chapters.all_questions = lambda: {"tiny": chapters.Question("tiny", "tiny", "Does it end?")}
stopping.listen()
__main__.main(["--all", *sys.argv[2:]])
"""


def start(folder: Path, dataset: Path, out: str, *more: str) -> forked.Program:
    """`tiny` by itself, or by --all, where it is all that there is."""
    (folder / "tiny.py").write_text(TINY)
    how = ["-c", ALL] if "--all" in more else ["-m", "experiments", "tiny"]
    words = [*how, *more, "--dataset", str(dataset), "--out", out, "--layer-sizes", "784", "10"]
    return forked.start(words, folder, folder / "said", PYTHONPATH=str(ROOT))


def test_stopped_twice_by_signals_it_goes_on_with_the_same_bits(small_mnist, tmp_path):
    kept = tmp_path / "out" / ".tiny.resume" / "calls"
    for number, after, *more in ((signal.SIGTERM, 3, "--all"), (signal.SIGKILL, 6, "--resume")):
        run = start(tmp_path, small_mnist, "out", *more)
        while run.process.is_alive() and not (kept / str(after)).exists():
            time.sleep(0.01)
        os.kill(run.process.pid or 0, number)
        code, out, err = run.ended()
        by_all = "--all" in more
        assert ("goes on after" in out, code) == (not by_all, 128 + number if by_all else -number)
        assert err.count("stopped by") == err.count("--all --resume goes on") == by_all  # what it started says nothing
    hashes = []
    for folder, *more in (("out", "--all", "--resume"), ("alone",)):
        _, out, _ = start(tmp_path, small_mnist, folder, *more).ended()
        assert ("goes on after" in out) == bool(more)
        hashes.append(json.loads((tmp_path / folder / "tiny" / "run.json").read_text())["sha256_of_arrays"])
        assert set(os.listdir(tmp_path / folder)) - {"README.md", "index.html"} == {"tiny"}
    assert hashes[0] == hashes[1]
