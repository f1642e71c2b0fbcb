#!/usr/bin/env bash
# tests.sh: on a fresh system root runs tests as README.md says: what they need is installed, and one preset is built. Of
# its tests some are enough, as this is about the system.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
inside root sh tests/run dev -L '^(golden|harness|contract)$' || fail "tests/run of root"
