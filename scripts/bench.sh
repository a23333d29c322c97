#!/usr/bin/env bash
#
# Measures the project on this machine and prints the figures as one table.
# docs/benchmarks.md says how to read it. The lines of the benchmarks
# themselves come first, as they are done; it takes two to five minutes.
#
# Figures that are compared are measured in turns, five times over, so that a
# machine that is busy for a while is as busy for both. Stores are written to
# $TMPDIR: point it to the disk that campaigns lie on. A capture file of 1 GB is
# written there too, and removed; it should fit into memory, or the disk is
# measured. Live capture is measured as root only, and reading beside tcpdump,
# which nothing else needs and which is installed here.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=5
tmp=${TMPDIR:-/tmp}

PATH=$PATH:/usr/sbin:/sbin # where tcpdump may lie
if ! command -v tcpdump >/dev/null && [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
	echo "bench: about to install with apt-get: tcpdump"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tcpdump; } ||
		echo "bench: tcpdump could not be installed; it is measured without" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

load() { cut -d ' ' -f 1 /proc/loadavg; }

# bench PACKAGE PATTERN [FLAG...] runs benchmarks in their package's folder.
bench() {
	local package=$1 pattern=$2
	shift 2
	(cd "$package" && "$work/${package##*/}.test" -test.run '^$' -test.bench "$pattern" "$@") |
		tee -a "$work/output" | grep -vE '^((goos|goarch|pkg|cpu):|PASS$)'
}

packages=(oracle/engine/openwakeword results tts/flite tts/espeak tts wordlists campaign capture)
go test -c -o "$work/" "${packages[@]/#/./}"
go build -o "$work/benchtable" ./scripts/benchtable

before=$(load)
for ((round = 1; round <= rounds; round++)); do
	bench oracle/engine/openwakeword '^BenchmarkPlay$'
	bench results '^BenchmarkCommit$'
	bench tts/flite '^BenchmarkSynthesize$'
	bench tts/espeak '^BenchmarkSynthesize$'
	bench tts '^BenchmarkCacheHit$'
	bench wordlists '^Benchmark(DictionaryLoad|Gunzip)$'
	bench results '^BenchmarkTraffic$/^(store|stream)$'
	bench capture '^BenchmarkLive$' -test.benchtime 3s
done
# The rounds are the benchmark's own: making the file takes longer than they.
bench capture '^BenchmarkRead$' -test.count "$rounds"
bench campaign '^BenchmarkCampaign$' -test.benchtime 1x

printf '\n%d processors (%s), %s, stores on %s; load average %s before, %s after\n\n' \
	"$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
	"$(go env GOVERSION)" "$(df --output=fstype "$tmp" | tail -n 1)" "$before" "$(load)"
"$work/benchtable" <"$work/output"
