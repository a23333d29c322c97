#!/usr/bin/env bash
#
# Builds bin/fuzzer-arm64, for a Raspberry Pi, on a Debian machine of any
# architecture, and runs it. On another architecture than arm64 that takes a
# cross-compiler and an emulator for programs; what of that is missing is
# installed through apt-get.
#
#     scripts/build-arm64.sh          asks it for its version and for words
#     scripts/build-arm64.sh test     and has it fuzz a real wake-word model, with
#                                     models and runtime in the folder arm64 of the
#                                     data folder, fetched as by setup.sh

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh

purpose=${1:-build}
data=${WAKEFUZZ_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/wakefuzz}

install_programs() {
	local missing=()
	command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
	command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
	# The C library's headers, and the C++ library that ONNX Runtime needs.
	[[ -e /usr/aarch64-linux-gnu/include/stdlib.h ]] || missing+=(libc6-dev-arm64-cross)
	[[ -e /usr/aarch64-linux-gnu/lib/libstdc++.so.6 ]] || missing+=(libstdc++6-arm64-cross)
	((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

emulator=()
export GOARCH=arm64 CGO_ENABLED=1
if [[ $(uname -m) != aarch64 ]]; then
	install_programs
	export CC=aarch64-linux-gnu-gcc
	emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
fi
fuzzer() { "${emulator[@]}" bin/fuzzer-arm64 "$@"; }

go build -o bin/fuzzer-arm64 ./cmd/fuzzer
fuzzer version
words=$(fuzzer words --wake-word alexa --phonemes 6 --order phonemes --limit 1)
[[ $words == *alexei* ]] || fail "the word that is nearest to alexa should be alexei; it says: $words"
say "bin/fuzzer-arm64 needs glibc $(grep -ao 'GLIBC_2\.[0-9]*' bin/fuzzer-arm64 | sort -uV | tail -n 1 | cut -d_ -f2) or later on the Pi"
if [[ $purpose != test ]]; then
	exit
fi

export WAKEFUZZ_DATA=$data/arm64
scripts/setup.sh demo aarch64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/spec.yaml" <<'END'
name: arm64
wake_word: alexa
words: {lists: [none], include: [lexus, window]}
voices:
  - {engine: flite, name: kal16}
bench:
  engine: {driver: openwakeword, model: alexa_v0.1}
protocol: {plays: 2}
END
fuzzer run --dir "$work/campaign" "$work/spec.yaml"
woke=$(fuzzer export --format csv --words all "$work/campaign" | cut -d, -f1,14 | tail -n +2 | paste -sd' ')
[[ $woke == 'lexus,2 window,0 alexa,2' ]] || fail "lexus and alexa should have woken the model 2 times, window never; it says: $woke"
say "ok: the campaign came out as on other machines"
