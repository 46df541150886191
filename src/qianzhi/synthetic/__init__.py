"""Hospitals that do not exist: consistent people, visits and faults on demand, by seed."""

from qianzhi.synthetic.plan import Plan
from qianzhi.synthetic.season import Day, Expected, Played, play
from qianzhi.synthetic.synth import SynthPlan, SynthResult, run

__all__ = ["Day", "Expected", "Plan", "Played", "SynthPlan", "SynthResult", "play", "run"]
