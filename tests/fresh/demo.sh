#!/usr/bin/env bash
# demo.sh: on a fresh system a user who may not install is told what to ask for, and root sees the demo to its end. What
# the demo installs has neither of the libraries that are optional.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
asks_for_packages sh examples/demo
asks_for_packages sh tests/run
demo_runs root
! inside root dpkg-query -W liblz4-dev libsodium-dev 2>/dev/null || fail "the demo installed a library that is optional"
