"""What every experiment needs, in reading order: settings.py (command line), runs.py (jit, seeds, chunks,
progress), descents.py (the careful man and the drunk man), hills.py (their paths on a plane), records.py (claims,
run.json, files)."""
