#!/usr/bin/env python3
"""The whole of "fuzzer analyze --detector all" with numpy and scipy, for
BenchmarkAnalysis to be measured beside: reads a pcap file of Ethernet frames
with times in nanoseconds, tells the devices apart, runs the four detectors on
each, and prints as JSON how many activations each found, and how many seconds
reading and detecting took, without the start of Python.

    scripts/analysis-numpy.py FILE

It does what a person would write for an evaluation: a loop over the records, and
arrays from there on.
"""

import collections
import json
import struct
import sys
import time

import numpy
from scipy import stats

SECOND = 1_000_000_000  # nanoseconds


def is_private(ip):
    return ip[0] == 10 or ip[:2] == b"\xc0\xa8" or ip[0] == 172 and ip[1] & 0xF0 == 16


def read(path):
    """The packets of each device: time, size, payload, whether it is outgoing."""
    devices = collections.defaultdict(lambda: ([], [], [], []))
    routers = set()
    data = open(path, "rb").read()
    at, end, first = 24, len(data), None
    header = struct.Struct("<IIII")
    while at < end:
        seconds, fraction, captured, size = header.unpack_from(data, at)
        frame = data[at + 16 : at + 16 + min(captured, 80)]
        at += 16 + captured
        when = seconds * SECOND + fraction
        first = when if first is None else first
        kind = frame[12:14]
        if kind == b"\x08\x00":
            head = (frame[14] & 15) * 4
            carried = (frame[16] << 8 | frame[17]) - head
            protocol = frame[23]
            # What talks to a private address from a public one is behind a router.
            if is_private(frame[26:30]) and not is_private(frame[30:34]):
                routers.add(frame[:6])
            elif is_private(frame[30:34]) and not is_private(frame[26:30]):
                routers.add(frame[6:12])
            transport = 14 + head
        elif kind == b"\x86\xdd":
            carried, protocol, transport = frame[18] << 8 | frame[19], frame[20], 54
        else:
            carried, protocol, transport = 0, 0, 14
        if protocol == 6:
            carried -= (frame[transport + 12] >> 4) * 4
        elif protocol == 17:
            carried -= 8
        for mac, outgoing in ((frame[6:12], True), (frame[:6], False)):
            if mac in routers or mac[0] & 1:
                continue
            packets = devices[mac]
            packets[0].append(when - first)
            packets[1].append(size)
            packets[2].append(carried)
            packets[3].append(outgoing)
    return {
        mac: (numpy.array(t), numpy.array(s), numpy.array(p), numpy.array(o))
        for mac, (t, s, p, o) in devices.items()
    }


def joined(starts, ends):
    """How many activations the spans, in the order of time, make together."""
    if len(starts) == 0:
        return 0
    latest = numpy.maximum.accumulate(ends)
    return 1 + int(numpy.sum(starts[1:] - latest[:-1] >= 3 * SECOND))


def burst(times, payload, window=SECOND, rate=23, consecutive=3):
    """Rows of windows that begin with a packet."""
    total = numpy.concatenate(([0], numpy.cumsum(payload)))
    enough = numpy.ones(len(times), bool)
    start = numpy.searchsorted(times, times)
    for n in range(1, consecutive + 1):
        end = numpy.searchsorted(times, times + n * window)
        enough &= (total[end] - total[start]) * 8 / 1000 / (window / SECOND) >= rate
        start = end
    rows = times[enough]
    return joined(rows, rows + consecutive * window)


def volume(times, carried, least=25_000, window=3 * SECOND):
    """Windows that end with a packet."""
    total = numpy.concatenate(([0], numpy.cumsum(carried)))
    first = numpy.searchsorted(times, times - window, side="right")
    enough = total[1:] - total[first] >= least
    return joined(times[first[enough]], times[enough] + 1)


def ttest(times, sizes, begin, end, threshold=0.42, duration=30 * SECOND):
    """Each stretch against the one before."""
    edges = numpy.arange(begin, end + 1, duration)
    cut = numpy.searchsorted(times, edges)
    found = []
    for n in range(2, len(edges)):
        idle = sizes[cut[n - 2] : cut[n - 1]].astype(float)
        probe = sizes[cut[n - 1] : cut[n]].astype(float)
        if len(idle) < 2 or idle.min() == idle.max():
            continue
        bins = numpy.histogram_bin_edges(idle, "auto")
        a, b = numpy.histogram(idle, bins)[0], numpy.histogram(probe, bins)[0]
        if stats.ttest_ind(a, b).pvalue < threshold:
            found.append(edges[n - 1])
    found = numpy.array(found)
    return joined(found, found + duration)


SLOT, SLOTS, CAP = SECOND // 10, 30, 3200


def calibrated(times, carried, begin, end):
    """Paced bytes of 3 s, and a line at the emptiest place between background and
    speech."""
    slots = numpy.bincount(times // SLOT, weights=carried, minlength=end // SLOT + 1)
    slots = numpy.minimum(slots, CAP)
    total = numpy.concatenate((numpy.zeros(SLOTS), numpy.cumsum(slots)))
    sums = total[SLOTS:] - total[:-SLOTS]
    since = begin // SLOT
    windows = numpy.arange(-(-since // SLOTS) + 1, len(slots) // SLOTS)
    peaks = numpy.array([sums[w * SLOTS : (w + 1) * SLOTS].max() for w in windows])
    line = emptiest(peaks)
    loud = numpy.flatnonzero(sums >= 8625)
    if len(loud) == 0:
        return 0
    # Stretches above the least line that are close together are one.
    sent = numpy.maximum.accumulate(numpy.where(slots > 0, numpy.arange(len(slots)), 0))
    groups = numpy.split(loud, numpy.flatnonzero(numpy.diff(sent[loud]) > 3 * SECOND // SLOT) + 1)
    return sum(1 for group in groups if sums[group].max() >= line)


def emptiest(peaks):
    audible = peaks >= 4000
    starts = numpy.flatnonzero(audible & ~numpy.concatenate(([False], audible[:-1])))
    if len(starts) < 5:
        return 10_500
    ends = numpy.flatnonzero(audible & ~numpy.concatenate((audible[1:], [False]))) + 1
    peaks = numpy.log([peaks[a:b].max() for a, b in zip(starts, ends)])
    places = numpy.log(numpy.geomspace(10_300, 25_000, 201))
    density = numpy.exp(-(((peaks[None, :] - places[:, None]) / 0.12) ** 2) / 2).sum(1)
    density += 0.05 * ((places - numpy.log(13_000)) / 0.5) ** 2
    return numpy.exp(places[numpy.argmin(density)])


def main():
    begin = time.perf_counter()
    devices = read(sys.argv[1])
    middle = time.perf_counter()
    found = collections.Counter()
    for times, sizes, payload, outgoing in devices.values():
        carried = numpy.maximum(sizes - 66, 0)
        sent = outgoing & (payload > 0)
        found["burst"] += burst(times[sent], payload[sent])
        found["volume"] += volume(times[carried > 0], carried[carried > 0])
        found["ttest"] += ttest(times[outgoing], sizes[outgoing], times[0], times[-1])
        found["calibrated"] += calibrated(times[outgoing], carried[outgoing], times[0], times[-1])
    end = time.perf_counter()
    print(json.dumps({"found": found, "read_s": middle - begin, "detect_s": end - middle}))


if __name__ == "__main__":
    main()
