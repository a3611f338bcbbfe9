"""What JAX computes on, and where its compiled programs stay for the next run."""

import os
from pathlib import Path

import jax

from experiments.common.bounds import SettingsError, blaming


def divide(cpu_devices: int) -> None:
    """Divides the CPU into so many devices, and looks for one. Raises SettingsError where JAX has begun too early, or
    finds nothing to compute on."""
    try:
        jax.config.update("jax_num_cpu_devices", cpu_devices)
    except RuntimeError as error:
        raise SettingsError(
            "JAX had made an array before it was told of its devices; a module of your own does so while it is "
            "imported, so let a function make it, or make it of numpy"
        ) from error
    asked = os.environ.get("JAX_PLATFORMS") or "not set"
    with blaming(f"JAX finds no device (JAX_PLATFORMS is {asked})", "leave that out, or name what is there, as cpu"):
        jax.devices()


def keep_compiled() -> None:
    """Lets JAX keep compiled programs for the next run, in the user's cache folder, where that can be written to.
    JAX's own variables name another folder, JAX_COMPILATION_CACHE_DIR, or none, JAX_ENABLE_COMPILATION_CACHE=false."""
    asked = jax.config.values
    if asked["jax_compilation_cache_dir"] or not asked["jax_enable_compilation_cache"]:
        return
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "backpropagation-research"
    try:
        folder.mkdir(parents=True)
        print(f"compiled programs are kept for the next run, at most 1 GiB, in {folder}", flush=True)
    except FileExistsError:
        pass
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", 2**30)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)  # by default 1: most take less
