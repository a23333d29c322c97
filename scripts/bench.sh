#!/usr/bin/env bash
#
# Measures the project on this machine and prints the figures as one table.
# docs/benchmarks.md says how to read it. The lines of the benchmarks
# themselves come first, as they are done; it takes two to five minutes.
#
# Figures that are compared are measured in turns, five times over, so that a
# machine that is busy for a while is as busy for both. Stores are written to
# $TMPDIR: point it to the disk that campaigns lie on.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=5
tmp=${TMPDIR:-/tmp}

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

packages=(oracle/engine/openwakeword results tts/flite tts/espeak tts wordlists campaign)
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
done
bench campaign '^BenchmarkCampaign$' -test.benchtime 1x

printf '\n%d processors (%s), %s, stores on %s; load average %s before, %s after\n\n' \
	"$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
	"$(go env GOVERSION)" "$(df --output=fstype "$tmp" | tail -n 1)" "$before" "$(load)"
"$work/benchtable" <"$work/output"
