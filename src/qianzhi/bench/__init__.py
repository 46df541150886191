"""Measurements: figures and ratios taken side by side in one run, because machines are noisy and ratios are not."""
