#!/usr/bin/env bash
# installed.sh ROOT SCRATCH_PARENT: builds and installs into an empty prefix, runs the tools there, then builds
# and runs a program against what was installed, found by CMake and by pkg-config.
set -eu
root=$1
scratch=$(mktemp -d "$2/installed.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake -S "$root" -B "$scratch/build" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DHQQ_BUILD_TESTS=OFF -DHQQ_BUILD_EXAMPLES=OFF
cmake --build "$scratch/build"
cmake --install "$scratch/build"

diff <(cd "$root/include" && find . -name '*.h' | sort) <(cd "$prefix/include" && find . -name '*.h' | sort) || {
    echo "$root/src/CMakeLists.txt:1: the headers installed (right) are not those of include (left)"
    exit 1
}

echo "--- the tools find the library"
for tool in "$prefix"/bin/*; do
    "$tool" --help >/dev/null
done

echo "--- found by CMake"
cmake -S "$root/tests/package/consumer" -B "$scratch/consumer" -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$scratch/consumer"
"$scratch/consumer/consumer"
if cmake -S "$root/tests/package/consumer" -B "$scratch/refused" -DCMAKE_PREFIX_PATH="$prefix" -DHQQ_WANTED=99.0; then
    echo "find_package(hqq 99.0) was content with this version"
    exit 1
fi

echo "--- found by pkg-config"
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
# shellcheck disable=SC2046 # words are wanted
${CC:-cc} -std=c11 "$root/tests/package/consumer/consumer.c" -o "$scratch/by-pkg-config" \
    $(pkg-config --cflags --libs hqq)
LD_LIBRARY_PATH=$prefix/lib "$scratch/by-pkg-config"
version=$(sed -n 's/^#define HQQ_VERSION "\(.*\)"/\1/p' "$prefix/include/hqq/version.h")
if [ "$(pkg-config --modversion hqq)" != "$version" ] || [ ! -e "$prefix/lib/libhqq.so.$version" ]; then
    echo "hqq.pc or the file name of the library does not have the version of hqq/version.h, $version"
    exit 1
fi
