#!/usr/bin/env bash
# as_subproject.sh ROOT SCRATCH_PARENT: inside another CMake project the library is built, without tests, examples and
# tools, and the other project's own compiler settings stay as they are.
set -eu
root=$1
scratch=$(mktemp -d "$2/as_subproject.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

cmake -S "$root/tests/package/subproject" -B "$scratch/build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
cmake --build "$scratch/build"
"$scratch/build/consumer"
if [ -e "$scratch/build/hqq/tests" ] || [ -e "$scratch/build/hqq/examples" ] || [ -e "$scratch/build/hqq/src/tools" ]; then
    echo "tests, examples or tools were built inside another project"
    exit 1
fi
if grep '"command"' "$scratch/build/compile_commands.json" | grep consumer.c | grep -E -- '-W|_GNU_SOURCE|HQQ_TESTING'; then
    echo "our compiler settings reached the project that contains us"
    exit 1
fi
