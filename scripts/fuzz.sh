#!/usr/bin/env bash
#
# Fuzzes every fuzz target for the time given, one after the other.
#
#     scripts/fuzz.sh 3s

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:?how long to fuzz each target, such as 3s}
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# go test now and then reports the end of its own time as a failure, on a busy
# machine, "context deadline exceeded" and no input that failed. Such a run is
# done again; a failing input is told of and fails at once.
fuzz() { # TARGET FOLDER
	for _ in 1 2 3; do
		if go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 1x "$2" >"$output" 2>&1; then
			return
		fi
		if grep -q 'Failing input' "$output" || ! grep -q '^    context deadline exceeded$' "$output"; then
			break
		fi
	done
	grep -v '^fuzz: elapsed' "$output"
	return 1
}

grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | sort | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | sed 's/^func //' | while read -r target; do
		echo "fuzz: $target for $time"
		fuzz "$target" "$(dirname "$file")"
	done
done
