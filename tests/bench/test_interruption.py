from __future__ import annotations

import signal

import pytest

from qianzhi.bench.interruption import Interrupted, interruptible
from qianzhi.runtime.stopping import SIGNALS


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_request_unwinds_and_the_next_ones_do_not_disturb_it(number: signal.Signals) -> None:
    """A second and third signal while everything is taken down change nothing; afterwards all is as before."""
    before = [signal.getsignal(each) for each in SIGNALS]
    done: list[str] = []
    with pytest.raises(Interrupted):
        _work(number, done)
    assert done == ["taken down"]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def _work(number: signal.Signals, done: list[str]) -> None:
    with interruptible():
        try:
            signal.raise_signal(number)
        finally:
            for each in SIGNALS:
                signal.raise_signal(each)
            done.append("taken down")
