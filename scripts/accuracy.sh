#!/usr/bin/env bash
#
# Measures all detectors on public data and on made-up traffic, and prints one
# table. docs/detectors.md says what came out, and how to read it.
#
#     scripts/accuracy.sh DATA
#
# DATA is a folder that "go doc ./scripts/accuracy" describes; without it only
# the made-up traffic is measured. HOURS (50) is how much idle traffic of each
# profile is made up, 0 for none. OUT is a folder for figures and tables, of
# which none are written otherwise. What is made lies in $TMPDIR, about 12 MB for
# each hour, and is removed.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=${1:-}
hours=${HOURS:-50}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go build -o "$work/" ./scripts/accuracy ./cmd/fuzzer
"$work/accuracy" ${data:+-data "$data"} -hours "$hours" "$work/captures"
"$work/fuzzer" evaluate --learned ${OUT:+--out "$OUT"} "$work/captures"
