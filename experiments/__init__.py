"""Experiments: one question each. `python -m experiments` lists them."""
