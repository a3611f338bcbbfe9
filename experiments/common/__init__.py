"""What every experiment needs, in reading order: settings.py (command line), runs.py (jit, seeds, chunks,
progress), records.py (claims, run.json, files)."""
