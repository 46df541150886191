from __future__ import annotations

import pytest

from qianzhi.bench import night


@pytest.mark.slow
def test_a_night_goes_over_a_line_that_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are settled before the images, these arrive once, and what was predicted is told beside what was seen."""
    monkeypatch.setattr(night, "CUT_SECONDS", 1.0)
    said: list[str] = []

    report = night.run(150, said.append, bits_per_second=20_000_000)

    figures = {each.name: each.values[0] for each in report.series}
    assert figures["records settled"] < figures["whole night"]
    assert figures["distinct images"] <= figures["sent over the line"] < 2 * figures["distinct images"]
    assert figures["predicted"] > 0
    assert any("is cut" in line for line in said)
