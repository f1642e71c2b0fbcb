#!/usr/bin/env bash
# cppcheck.sh ROOT CPPCHECK: no finding in src. A false one is silenced at its line: // cppcheck-suppress ID
set -u
cd "$1" || exit 1
if [ ! -x "${2-}" ]; then
    echo "no cppcheck here"
    exit 77
fi
"$2" --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --template='{file}:{line}: {severity}: {message} [{id}]' -D_GNU_SOURCE -D__x86_64__ -I include -I src src
