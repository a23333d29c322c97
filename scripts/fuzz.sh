#!/usr/bin/env bash
#
# Fuzzes every fuzz target for the time given, one after the other.
#
#     scripts/fuzz.sh 3s

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:?how long to fuzz each target, such as 3s}

grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | sort | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | sed 's/^func //' | while read -r target; do
		echo "fuzz: $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$(dirname "$file")" |
			grep -vE '^(fuzz: elapsed|PASS|ok )' || [[ ${PIPESTATUS[0]} -eq 0 ]]
	done
done
