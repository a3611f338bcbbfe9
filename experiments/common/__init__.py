"""The house: it runs every experiment.

experiment.py parses, loads, measures, judges, saves and draws; cli.py and bounds.py are the command line; problem.py is
what an experiment is posed; runs.py, descents.py and tune.py are how it runs; claims.py, film.py, trees.py, folders.py
and records.py are what it leaves behind; chapters.py, gather.py, ledger.py, front.py and stale.py are all of them
together; plots.py and terminal.py are how it shows. What several experiments do stands beside these.
"""
