#!/usr/bin/env bash
#
# Sets a machine up for `make wyoming`: a Python environment of its own in the
# data folder, with the wake-word server of openWakeWord and the Wyoming library
# from PyPI. It does nothing, without network, where they are there.
#
# The server brings openWakeWord's models along: CC BY-NC-SA 4.0, non-commercial
# use only.

set -euo pipefail

data=${WAKEFUZZ_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/wakefuzz}
folder=$data/wyoming
# The server's runtime was built for NumPy 1. With NumPy 2 its threads die, and it
# goes on answering that it heard no wake word.
packages=("wyoming-openwakeword==1.8.2" "numpy==1.26.4")

say() { printf 'setup-wyoming: %s\n' "$*"; }
fail() {
	printf 'setup-wyoming: %s\n' "$*" >&2
	exit 1
}

# works succeeds where the environment has what it should.
works() {
	"$folder/bin/python" - "${packages[@]}" 2>/dev/null <<-'END'
		import sys
		from importlib.metadata import version
		import tflite_runtime.interpreter
		import wyoming_openwakeword.handler
		for package in sys.argv[1:]:
		    name, pinned = package.split("==")
		    assert version(name) == pinned
	END
}

# fits succeeds for a Python that those packages run on, and that can make
# environments.
fits() {
	command -v "$1" >/dev/null &&
		"$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 13))' &&
		"$1" -c 'import ensurepip, venv' 2>/dev/null
}

if works; then
	say "nothing to do"
	exit 0
fi
command -v flite >/dev/null && command -v espeak-ng >/dev/null || fail "flite and espeak-ng are missing; run make setup"
python=
for candidate in python3 python3.12 python3.11 python3.10 python3.9; do
	if fits "$candidate"; then
		python=$candidate
		break
	fi
done
if [[ -z $python ]] && [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
	say "about to install with apt-get: python3-venv"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv ||
		fail "apt-get could not install python3-venv; its reason is above"
	fits python3 && python=python3
fi
[[ -n $python ]] || fail "there is no Python from 3.9 to 3.12 with venv; install one (Debian 12: python3-venv), then run make wyoming again"

say "about to install with pip into $folder: ${packages[*]}, 25 MB"
say "  the former has openWakeWord's pretrained models, CC BY-NC-SA 4.0: non-commercial use only"
rm -rf "$folder"
mkdir -p "$data"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" ||
	fail "pip could not install them; its reason is above"
works || fail "what pip installed does not work: $folder/bin/python -c 'import wyoming_openwakeword.handler' says why"
say "done"
