"""Figures and pages that outgrow their script: NAME.py draws what experiments/NAME.py left behind, arrays to figure."""
