# shellcheck shell=bash
#
# What the scripts of this folder share: they source it.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }
fail() {
	say "$@" >&2
	exit 1
}

# install_packages PACKAGE... installs them through apt-get, or fails.
install_packages() {
	local become=()
	command -v apt-get >/dev/null ||
		fail "apt-get is missing; install these with this system's own package manager, then run this again: $*"
	if [[ $EUID -ne 0 ]]; then
		command -v sudo >/dev/null ||
			fail "not root, and sudo is missing; ask the administrator to run: apt-get install --no-install-recommends $*"
		become=(sudo)
	fi
	say "installing with apt-get: $*"
	if ! { "${become[@]}" apt-get update -qq &&
		"${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }; then
		fail "apt-get could not install: $*; its reason is above"
	fi
}
