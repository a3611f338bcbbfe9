"""The environment, which must be set before JAX is imported. The rest stands in helpers.py: it takes seconds to import,
and the controller of pytest-xdist runs no test."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Importing and tracing make many objects and few cycles: as often as usual the collector took a twelfth of the time.
gc.set_threshold(50_000, 10, 10)

# XLA reads it at the first array, in the programs that tests start too. With jax 0.10 its newer code for fused loops
# takes more than twice as long to compile; later ones have no other, and pass the word over. A program that is not
# split, to be compiled in parts at once, takes a quarter less of the processors, and both are busy as it is.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters --xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's products, in workers that keep all processors busy


def kept_programs():
    """The folder of compiled programs: what one worker compiles serves the other, the programs that tests start, and
    the next session. With 256 MB it begins anew."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "backpropagation-research-tests"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sum(file.stat().st_size for file in folder.iterdir()) > 2**28:
            shutil.rmtree(folder)
    except OSError:  # nothing can be kept there
        return tempfile.mkdtemp(prefix="compiled-")
    return str(folder)


if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # the workers find it set
    os.environ["JAX_COMPILATION_CACHE_DIR"] = kept_programs()


@pytest.hookimpl(trylast=True)  # after pytest-xdist, which then has its session where this process only hands tests out
def pytest_configure(config):
    """Loads settings, hooks and fixtures where tests are collected or run."""
    if config.option.showfixtures or not config.pluginmanager.has_plugin("dsession"):
        config.pluginmanager.import_plugin("helpers")
