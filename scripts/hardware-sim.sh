#!/usr/bin/env bash
#
# Runs the drivers of pins on emulated boards: each board boots Debian's own
# kernel with the driver's test as its only program, while the test's other
# half drives the pin from outside.
#
#     scripts/hardware-sim.sh
#
# What is missing is fetched first, on a Debian machine of any architecture:
# the emulator and cpio through apt-get; and the boards' kernel, 60 MB, through
# an apt-get of its own that knows arm64 packages only, so that nothing of it
# is installed here. The kernel is kept in the data folder, which is
# $WAKEFUZZ_DATA, or wakefuzz in $XDG_DATA_HOME, or ~/.local/share/wakefuzz.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data=${WAKEFUZZ_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/wakefuzz}

say() { printf 'hardware-sim: %s\n' "$*"; }
fail() {
	printf 'hardware-sim: %s\n' "$*" >&2
	exit 1
}

work=$(mktemp -d)
staging=$work
trap 'rm -rf "$work" "$staging"' EXIT

install_programs() {
	local missing=() root=()
	command -v qemu-system-aarch64 >/dev/null || missing+=(qemu-system-arm)
	command -v cpio >/dev/null || missing+=(cpio)
	if ((${#missing[@]} == 0)); then
		return
	fi
	command -v apt-get >/dev/null ||
		fail "install these with this system's own package manager, then run this again: ${missing[*]}"
	if [[ $EUID -ne 0 ]]; then
		command -v sudo >/dev/null ||
			fail "not root, and sudo is missing; ask the administrator to run: apt-get install --no-install-recommends ${missing[*]}"
		root=(sudo)
	fi
	say "installing with apt-get: ${missing[*]}"
	if ! { "${root[@]}" apt-get update -qq &&
		"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
		fail "apt-get could not install: ${missing[*]}; its reason is above"
	fi
}

# kernel ARCHITECTURE sets $kernel to a folder with the newest kernel that
# Debian has for the architecture, as vmlinuz and device trees. One that was
# fetched before will do.
kernel() {
	local architecture=$1 state=$work/apt-$1 package options
	kernel=$data/kernel/$architecture
	if [[ -e $kernel/vmlinuz ]]; then
		return
	fi
	command -v apt-get dpkg-deb >/dev/null ||
		fail "apt-get and dpkg-deb are missing, with which the kernel of the boards is fetched; run this on Debian"
	options=(
		-qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o APT::Sandbox::User=root
		-o "Dir::State::Lists=$state/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$state/cache"
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	)
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/package" "$data/kernel" ||
		fail "can't write to the data folder $data; set WAKEFUZZ_DATA to one that can be written to"
	apt-get "${options[@]}" update ||
		fail "apt-get could not list the packages for $architecture; its reason is above"
	# The kernel's package has its version in its name; this one depends on it.
	package=$(apt-cache "${options[@]}" depends --important "linux-image-$architecture" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[[ -n $package ]] || fail "apt's sources have no linux-image-$architecture; Debian's have"
	say "fetching $package into $kernel"
	(cd "$state/package" && apt-get "${options[@]}" download "$package") ||
		fail "apt-get could not fetch $package; its reason is above"
	staging=$(mktemp -d "$data/kernel/.$architecture.XXXXXX")
	dpkg-deb --fsys-tarfile "$state"/package/*.deb |
		tar -x -C "$staging" --wildcards --transform='s|.*/||' './boot/vmlinuz-*' '*/bcm2837-rpi-3-b.dtb' ||
		fail "can't unpack $package"
	mv "$staging"/vmlinuz-* "$staging/vmlinuz"
	chmod 755 "$staging"
	rm -rf "$kernel"
	mv "$staging" "$kernel"
}

# board MACHINE PACKAGE [ARGUMENT...] runs the package's TestOnBoard on a board,
# with arguments to hardwaresim.
board() {
	local machine=$1 package=$2 root=$work/$1
	shift 2
	say "$package on $machine"
	mkdir "$root"
	CGO_ENABLED=0 GOARCH=arm64 go build -ldflags='-s -w' -o "$root/init" ./internal/hardwaresim/init
	CGO_ENABLED=0 GOARCH=arm64 go test -c -cover -tags hardwaresim -ldflags='-s -w' -o "$root/guest" "$package"
	(cd "$root" && printf 'init\nguest\n' | cpio --quiet -o -H newc) >"$root.cpio"
	if "$work/hardwaresim" -machine "$machine" -kernel "$kernel/vmlinuz" -initrd "$root.cpio" "$@" \
		-- -test.v '-test.run=^TestOnBoard$'; then
		printf 'ok  \t%s on %s\n' "$package" "$machine"
	else
		printf 'FAIL\t%s on %s\n' "$package" "$machine"
		failed=1
	fi
}

failed=0
install_programs
kernel arm64
go vet -tags hardwaresim ./oracle/light/... ./internal/hardwaresim/...
go build -o "$work/hardwaresim" ./internal/hardwaresim

board pi3b ./oracle/light/rpio -dtb "$kernel/bcm2837-rpi-3-b.dtb"
board pl061 ./oracle/light/gpiocdev
exit "$failed"
