"""Every bench, tiny, on the real thing: what it prints, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from qianzhi.bench import pipeline

SECONDS_MAX = 240.0
PAUSE_SECONDS = 0.1

Call = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder in which a bench makes its temporary ones."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def call(temporary: Path) -> Iterator[Call]:
    """Starts `qianzhi bench`; whatever is left of it at the end is killed and is a failure."""

    def start(*words: str, new_group: bool = False, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "qianzhi", "bench", *words],
            env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=new_group,
            text=True,
            encoding="utf-8",
        )

    yield start
    left = processes(temporary)
    for process in left:
        process.kill()
    assert [process.name() for process in left] == []
    assert list(temporary.iterdir()) == []


def processes(folder: Path) -> list[psutil.Process]:
    """The processes that were started with this folder among their arguments."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(each.info["cmdline"] or ())]


def is_measuring(process: subprocess.Popen[str]) -> bool:
    """Whether the gateway that is measured runs."""
    return any(
        "spawn_main" in " ".join(each.info["cmdline"] or ()) and each.info["ppid"] == process.pid
        for each in psutil.process_iter(["cmdline", "ppid"])
    )


def reports(call: Call, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the reports of a bench, by name."""
    process = call(*words, "--rounds", "1", "--json")
    said, told = process.communicate(timeout=SECONDS_MAX)
    assert said, told
    assert process.returncode in {0, 1}, told
    document = json.loads(said)
    missed = [sentence for report in document["reports"] for sentence in report["missed"]]
    assert document["missed"] == missed
    assert (process.returncode == 1) == bool(missed)
    assert all(sentence in told for sentence in missed)
    return process.returncode, {report["bench"]: report for report in document["reports"]}


@pytest.mark.bench
def test_pipeline(call: Call, tmp_path: Path) -> None:
    """Floor and pipeline stand side by side for both sets of rules; every row was accepted; memory is told."""
    out = tmp_path / "out.json"
    _, found = reports(call, "pipeline", "--rows", "500", "--rules", "row", "--rules", "all", "--out", str(out))
    report = found["pipeline"]
    for name in ("row", "all"):
        speed, floor = report["figures"][name]["median"], report["figures"][f"{name} floor"]["median"]
        assert report["ratios"][name] == pytest.approx(speed / floor)
    assert report["goals"] == {"row": 0.40, "all": 0.25}
    assert report["bounds"] == {"gateway peak": 600, "hub peak": 600}
    assert all(50 < max(report["figures"][peak]["values"]) < 5_000 for peak in report["bounds"])
    assert json.loads(out.read_text(encoding="utf-8"))["reports"] == [report]


@pytest.mark.bench
def test_pipeline_compares_the_memory_of_two_sizes() -> None:
    """Both sizes have a report of their own, and a third one tells the ratio of their peaks."""
    small, large, flat = pipeline.run_sizes((200, 400), ["row"], 1, lambda _: None)
    peaks = [{each.name: max(each.values) for each in report.series} for report in (small, large)]
    assert flat.ratios["hub peak"] == pytest.approx(peaks[0]["hub peak"] / peaks[1]["hub peak"])
    assert flat.goals == {"gateway peak": 0.8, "hub peak": 0.8}
    assert (small.facts["rows"], large.facts["rows"]) == (200, 400)


@pytest.mark.bench
def test_latency(call: Call) -> None:
    """Every row but the first few counts; the percentiles lie in order between the least and the most."""
    _, found = reports(call, "latency", "--rows", "20")
    figures = found["latency"]["figures"]
    values = figures["settled"]["values"]
    p50, p95, p99 = (figures[name]["median"] for name in ("p50", "p95", "p99"))
    assert len(values) == len(figures["inserted"]["values"]) == 20
    assert min(values) <= p50 <= p95 <= p99 <= max(values)
    assert p50 == pytest.approx(figures["settled"]["median"])
    assert all(part < whole for part, whole in zip(figures["inserted"]["values"], values, strict=True))
    assert all(doubt < whole for doubt, whole in zip(figures["look error"]["values"], values, strict=True))


@pytest.mark.bench
def test_arrival(call: Call) -> None:
    """Every way of inserting is measured without the trigger and with it in both modes."""
    code, found = reports(call, "arrival", "--rows", "500")
    figures, ratios = found["arrival"]["figures"], found["arrival"]["ratios"]
    assert code == 0
    for way in ("one session", "4 sessions", "batched", "insert", "copy"):
        for variant in ("nightly", "realtime"):
            speed, bare = figures[f"{way} {variant}"]["median"], figures[f"{way} without"]["median"]
            assert ratios[f"{way} {variant}"] == pytest.approx(speed / bare)


@pytest.mark.bench
def test_console(call: Call) -> None:
    """Each filter has its p95, held against one bound."""
    _, found = reports(call, "console", "--rows", "20000")
    report = found["console"]
    assert set(report["bounds"].values()) == {500.0}
    assert report["bounds"].keys() == report["figures"].keys()
    assert len(report["figures"]) > 15
    assert report["facts"]["findings"] == 20_000


@pytest.mark.bench
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after_seconds", [0.0, 3.0, 8.0])
def test_nothing_is_left_of_a_bench_that_is_interrupted(
    call: Call, temporary: Path, number: signal.Signals, after_seconds: float
) -> None:
    """Servers, workers and folders are gone when it ends, whether it was setting up or measuring."""
    process = call("pipeline", "--rows", "200000")
    until = time.monotonic() + SECONDS_MAX
    while not any(temporary.glob("qianzhi-bench-*/gateway/pg/data*")) and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
    time.sleep(after_seconds)
    process.send_signal(number)
    said, told = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 130, told
    assert said == ""
    assert "Traceback" not in told


@pytest.mark.bench
@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
def test_nothing_is_left_of_a_bench_whose_terminal_is_interrupted_while_a_gateway_runs(call: Call) -> None:
    """Ctrl-C reaches the whole group, the measured gateway included; the bench still takes everything down itself."""
    process = call("pipeline", "--rows", "100000", "--rules", "all", new_group=True)
    until = time.monotonic() + SECONDS_MAX
    while not is_measuring(process) and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 130, told
    assert "Traceback" not in told


def test_a_bench_stays_away_from_a_real_installation(call: Call) -> None:
    """Settings in the environment would lead it to somebody's database; it says so and does nothing."""
    process = call("arrival", "--rows", "10", QIANZHI_HUB__DATABASE__DSN="postgresql://hub@localhost/real")
    _, told = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 1
    assert "QIANZHI_HUB__DATABASE__DSN" in told
    assert "localhost" not in told


@pytest.mark.bench
def test_evidence(call: Call) -> None:
    """Every question is answered; the file arrives whole from the service, and from nginx where there is one."""
    _, found = reports(call, "evidence", "--rows", "300")
    report = found["evidence"]
    assert report["bounds"] == {"p99": 50.0}
    assert report["goals"].items() >= {"questions to 2000/s": 1.0}.items()
    assert ("file to nginx" in report["goals"]) == ("file by nginx" in report["figures"])
    assert min(report["figures"]["file"]["values"]) > 0
