#!/usr/bin/env bash
# must_fail.sh itself: it must refuse a program that passes, one that fails for another reason, and one that is missing.
set -u
must_fail=$(dirname "$0")/must_fail.sh
refused() {
    if bash "$must_fail" 'the reason' "$1"; then
        echo "must_fail.sh was satisfied by $1"
        exit 1
    fi
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#!/bin/sh\necho the reason\n' >"$scratch/passes"
printf '#!/bin/sh\necho something else\nexit 1\n' >"$scratch/other-reason"
printf '#!/bin/sh\necho the reason\nexit 1\n' >"$scratch/fails"
chmod +x "$scratch"/*
refused "$scratch/passes"
refused "$scratch/other-reason"
refused "$scratch/missing"
bash "$must_fail" 'the reason' "$scratch/fails"
