#!/usr/bin/env bash
# sources_built.sh ROOT LIST: every C file of the tree is a source of some target; LIST has the targets' sources.
# Those of tests/package and tests/fresh are built by their scripts.
set -u
cd "$1" || exit 1
forgotten=$(find src preload examples tests -path tests/package -prune -o -path tests/fresh -prune -o -name '*.c' -print 2>/dev/null |
    grep -vxFf <(sed "s|^$PWD/||" "$2")) || exit 0
while read -r file; do
    echo "$file:1: no CMakeLists.txt has it"
done <<<"$forgotten"
exit 1
