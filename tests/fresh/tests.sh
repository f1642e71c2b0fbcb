#!/usr/bin/env bash
# tests.sh [all]: on a fresh system tests/run does what README.md says, for each kind of user: one who may not install is
# told what to ask for; one with sudo gets what is missing, and the tests pass; so does root, where something is missing
# again. Each builds one preset in a clone of its own. Some of its tests are enough, as this is about the system; with
# "all" the user with sudo runs everything.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
asks_for_packages sh tests/run
allow_sudo
if [ "${1-}" = all ]; then
    tests_run user
    exit
fi
few='^(harness/must_fail|contract/options/)'
tests_run user dev -R "$few"
inside root apt-get purge -q --no-auto-remove spin libtalloc-dev libcmocka-dev >/dev/null
tests_run root dev -R "$few"
inside root dpkg-query -W spin libtalloc-dev libcmocka-dev || fail "tests/run of root did not install what was missing"
