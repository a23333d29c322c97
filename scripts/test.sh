#!/usr/bin/env bash
#
# Runs every test with the race detector, and fails where a package that the
# results rest on is covered to less than the floor.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
floor=80
held=(
	campaign results phoneme wordlists tts oracle/traffic stats
	analysis evaluate forest learned scan monitor dataset
)
((EUID == 0)) && held+=(capture) # a third of it is live capture, tested as root alone

output=$(mktemp)
trap 'rm -f "$output"' EXIT
# What plays sound in real time needs the machine for itself.
realtime=wakefuzz/playback/speaker

go vet ./...
go test -race -timeout 10m "$realtime"
go list ./... | grep -vxF "$realtime" | xargs go test -race -cover -timeout 25m | tee "$output"
awk -v floor="$floor" -v held="${held[*]}" '
	BEGIN {
		count = split(held, names)
		for (i in names)
			watched["wakefuzz/" names[i]]
	}
	$1 == "ok" && $2 in watched {
		seen++
		for (i = 3; i <= NF; i++)
			if ($i == "coverage:" && $(i + 1) + 0 < floor) {
				print "coverage of " $2 " is " $(i + 1) ", below " floor "%" > "/dev/stderr"
				low = 1
			}
	}
	END {
		if (seen != count) {
			print "coverage was not measured of all: " held > "/dev/stderr"
			low = 1
		}
		exit low
	}' "$output"
