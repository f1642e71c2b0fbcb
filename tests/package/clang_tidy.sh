#!/usr/bin/env bash
# clang_tidy.sh ROOT CLANG_TIDY BUILD: no finding of .clang-tidy's checks in src. BUILD has compile_commands.json.
set -u
cd "$1" || exit 1
if [ ! -x "${2-}" ]; then
    echo "no clang-tidy here"
    exit 77
fi
set -o pipefail
find src -name '*.c' -print0 | xargs -0 -n 1 -P 2 "$2" --quiet -p "$3" 2>&1 |
    { grep -Ev '^[0-9]+ warnings? generated\.$' || true; }
