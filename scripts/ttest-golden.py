#!/usr/bin/env python3
"""Makes oracle/traffic/testdata/ttest.json.gz: windows of packets, and the
p-values that numpy and scipy give for them, which the t-test must reproduce.
Nothing else needs Python. To make it again, in a virtual environment:

    pip install numpy==1.26.4 scipy==1.15.3
    scripts/ttest-golden.py

With a folder of captures and traces (vcfp/ and homepod/, see
oracle/traffic/accuracy_test.go) it takes the windows from there, and writes to
the file named:

    scripts/ttest-golden.py FOLDER FILE

The version of numpy matters: since 2.4 its "auto" bins are fewer than those
of the paper's day, which took the larger of two estimates.
"""

import csv
import gzip
import io
import json
import pathlib
import socket
import struct
import sys
import tarfile

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


def device(rng, uploads):
    """A minute of a speaker: heartbeats, name queries, reports, and speech."""
    packets = []
    for t in range(int(rng.integers(0, 20_000_000)), MINUTE, 20_000_000):
        packets += [(t, 66 + int(rng.integers(30, 60))), (t + int(rng.integers(20_000, 60_000)), 66)]
    for t in rng.integers(0, MINUTE, rng.poisson(2)):
        packets.append((int(t), int(rng.integers(70, 95))))
    for t in rng.integers(0, MINUTE - 2_000_000, rng.poisson(0.5)):  # a report, at line speed
        left = int(rng.integers(2_000, 40_000))
        while left > 0:
            packets.append((int(t), 66 + min(1448, left)))
            left -= 1448
            t += int(rng.integers(100, 3_000))
    for t in rng.integers(0, MINUTE - 8_000_000, uploads):  # speech, as it is spoken
        for _ in range(int(rng.integers(10, 60))):
            packets.append((int(t), 66 + int(rng.choice([1448, 640, 704, 1120]))))
            t += int(rng.normal(100_000, 5_000))
    packets.sort()
    return [t for t, _ in packets], [s for _, s in packets]


def p_value(idle, probe, bins, equal):
    """The t-test of the counts in bins of the idle sample, or of both."""
    of = idle if bins == "idle" else numpy.concatenate([idle, probe])
    if len(of) == 0:
        return None
    edges = numpy.histogram_bin_edges(of, bins="auto")
    counts, _ = numpy.histogram(idle, bins=edges)
    beside, _ = numpy.histogram(probe, bins=edges)
    if len(counts) < 2 or numpy.var(counts) + numpy.var(beside) == 0:
        return None
    return float(stats.ttest_ind(counts, beside, equal_var=equal).pvalue)


def case(idle, probe):
    """Two windows, and what is to be found of them by every choice."""
    size = [numpy.array(w[1], dtype=float) for w in (idle, probe)]
    gap = [numpy.diff(numpy.array(w[0], dtype=numpy.int64)) * 1000 / 1e9 for w in (idle, probe)]
    want = []
    for bins in ("idle", "both"):
        for equal in (True, False):
            found = [p_value(*size, bins, equal), p_value(*gap, bins, equal)]
            both = None
            if None not in found:
                both = float(stats.combine_pvalues(found, method="fisher").pvalue) if min(found) > 0 else 0.0
            want.append(found + [both])
    # Instants as distances, which are shorter to write.
    at = lambda w: [int(d) for d in numpy.diff(w[0], prepend=0)]
    return {"idle": {"at": at(idle), "size": idle[1]}, "probe": {"at": at(probe), "size": probe[1]}, "p": want}


def synthetic():
    rng = numpy.random.default_rng(412)
    kinds = ["speaker", "bursts", "even", "coarse"]
    # Cubes and powers of two are where rounding decides how many bins there are.
    counts = [0, 1, 2, 3, 4, 5, 8, 9, 16, 27, 32, 50, 64, 100, 125]
    for i in range(300):
        idle = window(rng, int(rng.choice(counts)), str(rng.choice(kinds)))
        probe = window(rng, int(rng.choice(counts)), str(rng.choice(kinds)))
        if i % 20 == 0:  # nothing has changed
            probe = idle
        yield case(idle, probe)
    for _ in range(300):
        yield case(device(rng, 0), device(rng, int(rng.choice([0, 0, 1, 6]))))


def records(data):
    """The frames of a classic capture or a pcapng one, in microseconds."""
    if data[:4] != b"\n\r\r\n":
        assert data[:4] == b"\xd4\xc3\xb2\xa1"
        i = 24
        while i + 16 <= len(data):
            sec, micro, kept, size = struct.unpack_from("<IIII", data, i)
            yield sec * 1_000_000 + micro, size, data[i + 16 : i + 16 + kept]
            i += 16 + kept
        return
    i, per_second = 0, 1_000_000
    while i + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, i)
        if kind == 1:  # an interface; option 9 is the resolution of its clock
            option = i + 16
            while option + 4 < i + length - 4:
                code, size = struct.unpack_from("<HH", data, option)
                if code == 9:
                    per_second = 10 ** data[option + 4]
                option += 4 + (size + 3) // 4 * 4
        if kind == 6:
            _, high, low, kept, size = struct.unpack_from("<IIIII", data, i + 8)
            yield (high << 32 | low) * 1_000_000 // per_second, size, data[i + 28 : i + 28 + kept]
        i += length


def pcap(path, mine):
    """The frames that are mine: microseconds since the first of all, bytes."""
    frames, first = [], None
    for t, size, frame in records(path.read_bytes()):
        first = t if first is None else first
        if mine(frame):
            frames.append((t - first, size))
    return sorted(f for f in frames if f[0] >= 0)


def real(folder):
    """Consecutive windows of 30 s and a minute, and traces side by side."""
    streams = []
    for row in csv.DictReader(open(folder / "vcfp/captures.csv")):
        ip = socket.inet_aton(row["device_ip"])
        if not (folder / "vcfp" / row["file"]).exists():
            continue
        streams.append(pcap(folder / "vcfp" / row["file"], lambda f: f[12:14] == b"\x08\x00" and f[26:30] == ip))
    for name, mac in (("homepod", "d4a33d6b1e97"), ("echodot3a", "68dbf5901964")):
        streams.append(pcap(folder / f"homepod/{name}.pcap", lambda f: f[6:12] == bytes.fromhex(mac)))
    for stream in streams:
        for length in (MINUTE // 2, MINUTE):
            last = stream[-1][0] // length if stream else 0
            cut = [[(t - k * length, s) for t, s in stream if t // length == k] for k in range(last + 1)]
            for idle, probe in zip(cut, cut[1:]):
                yield case(*[([t for t, _ in w], [s for _, s in w]) for w in (idle, probe)])
    traces = []
    with tarfile.open(folder / "vcfp/traces.tar.gz") as tar:
        for member in sorted((m for m in tar if m.name.endswith(".csv")), key=lambda m: m.name):
            text = io.TextIOWrapper(tar.extractfile(member))
            rows = [[float(v) for v in r[1:4]] for r in csv.reader(text) if r and r[1].replace(".", "").isdigit()]
            sent = sorted((round((r[0] - rows[0][0]) * 1e6), int(r[1]) + 14) for r in rows if r[2] > 0)
            sent = [(t, s) for t, s in sent if 0 <= t < MINUTE]
            traces.append(([t for t, _ in sent], [s for _, s in sent]))
    for idle, probe in zip(traces, traces[1:]):
        yield case(idle, probe)


def main():
    target = pathlib.Path(__file__).parent.parent / "oracle/traffic/testdata/ttest.json.gz"
    cases = synthetic()
    if len(sys.argv) == 3:
        target, cases = pathlib.Path(sys.argv[2]), real(pathlib.Path(sys.argv[1]))
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(f"[\n{lines}\n]\n".encode(), mtime=0))


if __name__ == "__main__":
    main()
