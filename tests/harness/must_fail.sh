#!/usr/bin/env bash
# must_fail.sh PATTERN PROGRAM: passes if PROGRAM runs, fails, and prints a line that matches PATTERN. Stricter than
# ctest's WILL_FAIL, which is content with a program that is missing or fails for another reason.
set -u
output=$("$2" 2>&1)
status=$?
printf '%s\n' "$output"
if [ "$status" -eq 0 ]; then
    echo "$2: it must fail, and passed"
    exit 1
fi
if ! grep -Eq "$1" <<<"$output"; then
    echo "$2: it failed with status $status, but printed nothing like '$1'"
    exit 1
fi
