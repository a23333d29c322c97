#!/usr/bin/env bash
#
# Runs what needs hardware in emulated machines. Each boots Debian's own kernel
# with a test as its only program:
#
#   pi3b, pl061   boards, for the drivers of pins; the test's other half drives
#                 the pin from outside
#   pc            a PC, for the capture in monitor mode; its kernel has radios
#                 that are made by software (mac80211_hwsim)
#
#     scripts/hardware-sim.sh [MACHINE...]
#
# They run one after another: the first measures what a driver takes of a
# processor. What is missing is fetched first, on a Debian machine of any
# architecture: the emulators and cpio through apt-get; and the machines' kernels
# and programs, 60 MB for the boards and 100 MB for the PC, through an apt-get of
# its own that knows packages of one architecture only, so that nothing of it is
# installed here. They are kept in the data folder, which is $WAKEFUZZ_DATA, or
# wakefuzz in $XDG_DATA_HOME, or ~/.local/share/wakefuzz.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh

data=${WAKEFUZZ_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/wakefuzz}

work=$(mktemp -d)
staging=$work
trap 'rm -rf "$work" "$staging"' EXIT

install_programs() {
	local missing=()
	command -v qemu-system-aarch64 >/dev/null || missing+=(qemu-system-arm)
	command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
	command -v cpio >/dev/null || missing+=(cpio)
	command -v xz >/dev/null || missing+=(xz-utils)
	((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

# apt ARCHITECTURE COMMAND... runs apt-get or apt-cache where nothing is
# installed and there are packages of that architecture only.
apt() {
	local architecture=$1 command=$2 state=$work/apt-$1 options
	shift 2
	options=(
		-qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o APT::Sandbox::User=root
		-o "Dir::State::Lists=$state/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$state/cache"
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	)
	if [[ ! -d $state ]]; then
		command -v apt-get dpkg-deb >/dev/null ||
			fail "apt-get and dpkg-deb are missing, with which the machines' kernels and programs are fetched; run this on Debian"
		mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
		apt-get "${options[@]}" update ||
			fail "apt-get could not list the packages for $architecture; its reason is above"
	fi
	"$command" "${options[@]}" "$@"
}

# stage FOLDER sets $staging to a new folder that commit will put in its place,
# whole or not at all.
stage() {
	mkdir -p "$(dirname "$1")" ||
		fail "can't write to the data folder $data; set WAKEFUZZ_DATA to one that can be written to"
	staging=$(mktemp -d "$(dirname "$1")/.staging.XXXXXX")
}

commit() {
	chmod 755 "$staging"
	rm -rf "$1"
	mv "$staging" "$1"
	staging=$work
}

# kernel ARCHITECTURE FILE... sets $kernel to a folder with the newest kernel
# that Debian has for the architecture, as vmlinuz, and beside it the files of
# its package that fit a pattern: device trees or modules. One that was fetched
# before will do.
kernel() {
	local architecture=$1 package packages=$work/kernel-$1
	shift
	kernel=$data/kernel/$architecture
	if [[ -e $kernel/vmlinuz ]]; then
		return
	fi
	# The kernel's package has its version in its name; this one depends on it.
	package=$(apt "$architecture" apt-cache depends --important "linux-image-$architecture" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[[ -n $package ]] || fail "apt's sources have no linux-image-$architecture; Debian's have"
	say "fetching $package into $kernel"
	mkdir "$packages"
	(cd "$packages" && apt "$architecture" apt-get download "$package") ||
		fail "apt-get could not fetch $package; its reason is above"
	stage "$kernel"
	dpkg-deb --fsys-tarfile "$packages"/*.deb |
		tar -x -C "$staging" --wildcards --transform='s|.*/||' './boot/vmlinuz-*' "$@" ||
		fail "can't unpack $package"
	mv "$staging"/vmlinuz-* "$staging/vmlinuz"
	find "$staging" -name '*.xz' -exec xz -d {} +
	commit "$kernel"
}

# programs ARCHITECTURE sets $programs to a folder with what a Wi-Fi is run with,
# and all libraries that it needs, from Debian's packages.
programs() {
	local architecture=$1 packages=(hostapd wpasupplicant iw iproute2 wireless-regdb) package root=$work/programs
	programs=$data/programs/$architecture
	if [[ -e $programs/bin ]]; then
		return
	fi
	say "fetching ${packages[*]} into $programs"
	apt "$architecture" apt-get install --download-only -y --no-install-recommends "${packages[@]}" ||
		fail "apt-get could not fetch ${packages[*]}; its reason is above"
	mkdir "$root"
	for package in "$work/apt-$architecture"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$root" || fail "can't unpack $package"
	done
	stage "$programs"
	mkdir -p "$staging"/{bin,lib/firmware}
	# Where Debian has its programs and libraries differs from one release to the
	# next. In these two folders they are found in any case.
	pick "$root" "$staging/bin" '*/bin/ip' '*/sbin/'{hostapd,iw,wpa_supplicant}
	pick "$root" "$staging/lib" '*/lib/*-linux-gnu/'{ld-,lib}'*.so*'
	cp "$(find "$root" -name regulatory.db-debian)" "$staging/lib/firmware/regulatory.db"
	cp "$(find "$root" -name regulatory.db.p7s-debian)" "$staging/lib/firmware/regulatory.db.p7s"
	ln -s lib "$staging/lib64"
	commit "$programs"
}

# pick FROM TO PATTERN... copies the files whose paths fit a pattern into one
# folder.
pick() {
	local from=$1 to=$2 pattern
	shift 2
	for pattern; do
		find "$from" -path "$from$pattern" ! -type d -exec cp -P -t "$to" {} +
	done
}

# machine MACHINE ARCHITECTURE PACKAGE [ARGUMENT...] runs the package's
# TestOnBoard on a machine, with arguments to hardwaresim. What lies in $root is
# in the machine's file system.
machine() {
	local machine=$1 architecture=$2 package=$3
	shift 3
	say "$package on $machine"
	mkdir -p "$root"
	CGO_ENABLED=0 GOARCH=$architecture go build -ldflags='-s -w' -o "$root/init" ./internal/hardwaresim/init
	CGO_ENABLED=0 GOARCH=$architecture go test -c -cover -tags hardwaresim -ldflags='-s -w' -o "$root/guest" "$package"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$root.cpio"
	if "$work/hardwaresim" -machine "$machine" -kernel "$kernel/vmlinuz" -initrd "$root.cpio" "$@" \
		-- -test.v '-test.run=^TestOnBoard$'; then
		printf 'ok  \t%s on %s\n' "$package" "$machine"
	else
		printf 'FAIL\t%s on %s\n' "$package" "$machine"
		failed=1
	fi
}

# radios puts into $root what the PC's radios take: modules, with a list of the
# order in which they can be loaded, programs, and the access point's
# configuration, which is the one that the documentation has.
radios() {
	local module parameters
	mkdir -p "$root"/{modules,etc}
	while read -r module parameters; do
		# What a release of Debian has built in has no file.
		if [[ -e $kernel/$module.ko ]]; then
			cp "$kernel/$module.ko" "$root/modules"
			printf '%s.ko %s\n' "$module" "$parameters" >>"$root/modules/order"
		fi
	done <<-'END'
		virtio_ring
		virtio
		rfkill
		libarc4
		cfg80211
		mac80211
		ctr
		ccm
		mac80211_hwsim radios=5
	END
	cp -R "$programs"/* "$root"
	cp docs/access-point/hostapd.conf "$root/etc"
}

failed=0
install_programs
go vet -tags hardwaresim ./capture/... ./oracle/light/... ./internal/hardwaresim/...
go build -o "$work/hardwaresim" ./internal/hardwaresim

if (($# == 0)); then
	set -- pi3b pl061 pc
fi
for name; do
	root=$work/$name
	case $name in
	pi3b)
		kernel arm64 '*/bcm2837-rpi-3-b.dtb'
		machine pi3b arm64 ./oracle/light/rpio -dtb "$kernel/bcm2837-rpi-3-b.dtb"
		;;
	pl061)
		kernel arm64 '*/bcm2837-rpi-3-b.dtb'
		machine pl061 arm64 ./oracle/light/gpiocdev
		;;
	pc)
		kernel amd64 '*/kernel/'{net/mac80211,net/rfkill,net/wireless,crypto,lib/crypto,drivers/virtio}'/*' '*/mac80211_hwsim.ko*'
		programs amd64
		radios
		machine pc amd64 ./capture
		;;
	*) fail "no such machine: $name; there are pi3b, pl061 and pc" ;;
	esac
done
exit "$failed"
