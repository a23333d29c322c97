#!/usr/bin/env python3
"""Makes oracle/traffic/testdata/ttest.json: windows of packets, and the p-values
that numpy and scipy give for them, which the t-test must reproduce. Nothing
else needs Python. To make it again, in a virtual environment:

    pip install numpy==1.26.4 scipy==1.15.3
    scripts/ttest-golden.py

The version of numpy matters: since 2.4 its "auto" bins are fewer than those
of the paper's day, which took the larger of two estimates.
"""

import json
import pathlib

import numpy
from scipy import stats

MINUTE = 60_000_000  # microseconds


def window(rng, count, kind):
    """A minute of packets: instants in microseconds, in order, and sizes."""
    at = numpy.sort(rng.integers(0, MINUTE, count))
    if kind == "bursts":
        heads = rng.integers(0, MINUTE - 3_000_000, max(1, count // 20))
        at = numpy.sort(rng.choice(heads, count) + rng.exponential(2e5, count).astype(numpy.int64))
    sizes = {
        "speaker": lambda: rng.choice([66, 66, 66, 97, 118, 254, 1514], count),
        "bursts": lambda: numpy.where(rng.random(count) < 0.6, 1514, rng.integers(60, 1400, count)),
        "even": lambda: rng.integers(60, 1515, count),
        "coarse": lambda: 60 + 90 * rng.integers(0, 8, count),
    }[kind]()
    return [int(t) for t in at], [int(s) for s in sizes]


def p_value(idle, probe):
    """The paper's: bins of the idle sample, t-test of the counts."""
    if len(idle) == 0:
        return None
    counts, edges = numpy.histogram(idle, bins="auto")
    beside, _ = numpy.histogram(probe, bins=edges)
    if len(counts) < 2 or numpy.var(counts) + numpy.var(beside) == 0:
        return None
    return float(stats.ttest_ind(counts, beside).pvalue)


def main():
    rng = numpy.random.default_rng(412)
    kinds = ["speaker", "bursts", "even", "coarse"]
    # Cubes and powers of two are where rounding decides how many bins there are.
    counts = [0, 1, 2, 3, 4, 5, 8, 9, 16, 27, 32, 50, 64, 100, 125]
    cases = []
    for i in range(200):
        idle = window(rng, int(rng.choice(counts)), str(rng.choice(kinds)))
        probe = window(rng, int(rng.choice(counts)), str(rng.choice(kinds)))
        if i % 20 == 0:  # nothing has changed
            probe = idle
        seconds = [numpy.diff(numpy.array(at, dtype=numpy.int64)) * 1000 / 1e9 for at, _ in (idle, probe)]
        cases.append({
            "idle": {"at": idle[0], "size": idle[1]},
            "probe": {"at": probe[0], "size": probe[1]},
            "sizes": p_value(numpy.array(idle[1], dtype=float), numpy.array(probe[1], dtype=float)),
            "gaps": p_value(*seconds),
        })
    target = pathlib.Path(__file__).parent.parent / "oracle/traffic/testdata/ttest.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    target.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
