#!/usr/bin/env bash
# tests.sh [all]: on a fresh system tests/run does what README.md says: who may not install is told what to ask for; who
# has sudo gets what is missing, and the tests pass. Some of one preset's are enough, as this is about the system; with
# "all" root, where something is missing again, runs those, and the user with sudo runs everything.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
asks_for_packages sh tests/run
allow_sudo
few='^(harness/must_fail|contract/options/)'
tests_run user dev -R "$few"
[ "${1-}" = all ] || exit 0
inside root apt-get purge -q --no-auto-remove spin libtalloc-dev libcmocka-dev >/dev/null
tests_run root dev -R "$few"
inside root dpkg-query -W spin libtalloc-dev libcmocka-dev || fail "tests/run of root did not install what was missing"
tests_run user
