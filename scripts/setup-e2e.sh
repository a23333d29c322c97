#!/usr/bin/env bash
#
# Sets a Debian-like machine up for `make e2e`: installs, through apt-get, the
# programs that the virtual smart speaker and the networks around it are made
# of, and does nothing where none is missing. What the other tests need is
# scripts/setup.sh's business.

set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A program, and the package that has it.
programs=(
	"ip iproute2"
	"nsenter util-linux"
	"dnsmasq dnsmasq-base"
	"busybox busybox"
	"pulseaudio pulseaudio"
	"paplay pulseaudio-utils"
	"flite flite"
)

# Where root's programs lie, on machines that don't say so to others.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for entry in "${programs[@]}"; do
	read -r program package <<<"$entry"
	command -v "$program" >/dev/null || missing+=("$package")
done

[[ $EUID -eq 0 ]] || fail "make e2e makes network namespaces, which takes root; run it with sudo"
if ((${#missing[@]} == 0)); then
	say "nothing to do"
	exit 0
fi
install_packages "${missing[@]}"
say "done"
