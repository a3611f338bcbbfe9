"""Several real processes on the loopback address find what one finds, the first one writes, and none waits for ever."""

import functools
import json
import os
import signal
import socket
import time
from pathlib import Path
from unittest import mock

import forked
import jax
import numpy as np
import pytest

from experiments.common import cli, hosts
from experiments.common.bounds import SettingsError
from research.data import DataError

HERE = Path(__file__).parent


def start(count, folder, data, *words, **more):
    """`count` processes of the small experiment, each with an output folder of its own: folder/0, folder/1, ...; `more`
    goes to their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["-m", "experiments", "small_experiment", "--dataset", str(data), "--cpu-devices", "1",
               "--num-examples", "201", "--layer-sizes", "784", "10", *words]  # fmt: skip
    said = folder.with_name(f"{folder.name}.said")
    for index in range(count):
        joining = {hosts.COUNT: str(count), hosts.INDEX: str(index), hosts.ADDRESS: address, "JAX_PLATFORMS": "cpu"}
        yield forked.start([*command, "--out", str(folder / str(index))], HERE, said / str(index), **joining, **more)


def finished(processes):
    """(exit code, stdout, stderr) of each."""
    return [process.ended() for process in processes]


@pytest.fixture(scope="module")
def run(small_mnist, tmp_path_factory):
    """count -> (folder, ends) of so many processes that nobody disturbs; they run once, for all tests."""

    @functools.cache
    def run(count):
        folder = tmp_path_factory.mktemp("undisturbed")
        return folder, finished(list(start(count, folder, small_mnist, "--num-seeds", "2")))

    return run


@pytest.mark.parametrize("wrong", [SettingsError("--out is wrong"), DataError("another run goes on")])
def test_what_the_first_process_finds_wrong_is_told_to_the_others(wrong, monkeypatch):
    from_first = mock.Mock(side_effect=lambda said: said)
    monkeypatch.setattr(hosts, "from_first", from_first)

    def act():
        raise wrong

    with pytest.raises(type(wrong), match=str(wrong)):
        hosts.on_first(act)
    from_first.assert_called_once_with(str(wrong).encode())


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_find_what_one_finds_and_the_first_one_writes(count, run):
    folder, ends = run(count)
    assert [code for code, *_ in ends] == [0] * count, ends
    assert [index for index in range(count) if (folder / str(index)).exists()] == [0]
    assert "it does" in ends[0][1]
    assert [out for _, out, _ in ends[1:]] == [""] * (count - 1)
    one, several = (np.load(each / "0/small_experiment/arrays.npz") for each in (run(1)[0], folder))
    assert one.files == several.files == ["params", "costs", "heights"]
    for name in one.files:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-6, err_msg=name)


def test_several_processes_that_are_stopped_go_on_with_the_same_bits(run, small_mnist, tmp_path):
    words = "--num-seeds", "2"
    processes = list(start(2, tmp_path, small_mnist, *words, **{"SMALL_EXPERIMENT_WAITS": "yes"}))
    calls = tmp_path / "0" / ".small_experiment.resume" / "calls"
    while not (calls / "2").exists() and processes[0].process.is_alive():
        time.sleep(0.01)
    for each in processes:
        os.kill(each.process.pid or 0, signal.SIGTERM)
    ends = finished(processes)
    assert ends[0][0] == 128 + signal.SIGTERM
    assert ends[1][0] in (128 + signal.SIGTERM, hosts.LOST)  # it may first hear that the other one is gone
    assert "--resume goes on with what was not finished" in ends[0][2]
    ends = finished(list(start(2, tmp_path, small_mnist, *words, "--resume")))
    assert [code for code, *_ in ends] == [0] * 2, ends
    assert "goes on after" in ends[0][1]
    records = [each / "0" / "small_experiment" / "run.json" for each in (run(2)[0], tmp_path)]
    first, second = (json.loads(record.read_text())["sha256_of_arrays"] for record in records)
    assert first == second
    assert os.listdir(tmp_path) == ["0"]
    assert os.listdir(tmp_path / "0") == ["small_experiment"]


def test_what_is_wrong_on_the_first_process_ends_all_of_them(small_mnist, tmp_path):
    (tmp_path / "0").write_text("a file where the folder should be")
    for code, _, errors in finished(list(start(2, tmp_path, small_mnist))):
        assert (code, errors.count("which is not a folder that can be written to")) == (2, 1)


@pytest.mark.parametrize("dying", [0, 1])
def test_a_process_that_dies_ends_the_others_with_one_sentence(dying, small_mnist, tmp_path):
    """JAX tells of the end of the first one by an abort, of that of another by an exchange that fails."""
    processes = list(start(2, tmp_path, small_mnist, "--dying", str(dying)))
    processes.pop(dying).ended()
    began = time.monotonic()
    ((code, _, errors),) = finished(processes)
    assert time.monotonic() - began < hosts.PATIENCE
    assert code == hosts.LOST == 3  # cli.exit_codes
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "the processes of this run can no longer work together; start all of them again" in sentence
    assert not (tmp_path / "0" / "small_experiment").exists()


@pytest.mark.parametrize("kind", [ValueError, jax.errors.JaxRuntimeError])
def test_an_exchange_that_fails_is_told_as_whatever_jax_raises(kind, monkeypatch):
    """Before the exchange it is the one, while it is under way the other."""
    told = []
    monkeypatch.setattr(hosts, "are_several", lambda: True)
    monkeypatch.setattr(hosts, "lost", told.append)
    with pytest.raises(kind), cli.exit_codes():
        raise kind("UNKNOWN: Gloo AllGather failed: Connection closed by peer [127.0.0.1]:3973")
    assert len(told) == 1


@pytest.mark.parametrize(("said", "first"), [
    ({}, True), ({hosts.COUNT: "2", hosts.INDEX: "0"}, True), ({hosts.COUNT: "2", hosts.INDEX: "1"}, False),
    ({hosts.COUNT: "2"}, True), ({"SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "2"}, False),
    ({"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "2"}, False), ({"SLURM_PROCID": "2"}, True),
    ({hosts.COUNT: "2", hosts.INDEX: "0", "SLURM_PROCID": "1"}, True),  # what is set by hand comes before the scheduler
    ({hosts.COUNT: "2", hosts.INDEX: "1", "OMPI_COMM_WORLD_RANK": "0"}, False),
])  # fmt: skip
def test_the_environment_says_which_is_the_first_before_they_join(said, first, monkeypatch):
    for variable in (*hosts.COUNTS, *hosts.INDICES):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in said.items():
        monkeypatch.setenv(variable, value)
    assert hosts.is_first() == first


def test_a_count_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(hosts.COUNT, "two")
    with pytest.raises(SettingsError, match=f"{hosts.COUNT} is two; it must be a whole"):
        hosts.join(1)
