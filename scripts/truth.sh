#!/usr/bin/env bash
#
# Plays every plain word of five and six phonemes, which takes hours, and writes
# how often each of those that ever reacted did. What is played already is not
# played again. usage: truth.sh [FOLDER of the campaigns]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-campaigns/truth}

go build -o bin/fuzzer ./cmd/fuzzer
mkdir -p "$folder" docs/truth
for file in examples/truth/*.yaml; do
	name=$(basename "$file" .yaml)
	bin/fuzzer run "$file" --dir "$folder/$name" >"$folder/$name.txt"
	bin/fuzzer export "$folder/$name" --format csv | awk -F , '
		NR == 1 {
			for (i = 1; i <= NF; i++)
				at[$i] = i
			print "word,pronunciation,k,n"
			next
		}
		$at["role"] == "word" && $at["reacted"] > 0 {
			print $at["word"] "," $at["pronunciation"] "," $at["reacted"] "," $at["measured"]
		}' | (read -r head && echo "$head" && sort) >"docs/truth/$name.csv.new"
	mv "docs/truth/$name.csv.new" "docs/truth/$name.csv"
	echo "docs/truth/$name.csv: $(($(wc -l <"docs/truth/$name.csv") - 1)) words reacted at least once"
done
