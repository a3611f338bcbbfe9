"""What every experiment needs, in reading order: settings.py (command line), runs.py (jit, seeds, chunks,
progress), descents.py (the careful man and the drunk man), records.py (claims, run.json, files)."""
