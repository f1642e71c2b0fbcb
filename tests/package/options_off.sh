#!/usr/bin/env bash
# options_off.sh ROOT SCRATCH_PARENT: with tests, examples and tools off, the library alone is built and installed, and
# nothing but talloc is needed for it; an optional library that is demanded and missing is an error.
set -eu
root=$1
scratch=$(mktemp -d "$2/options_off.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/pkgconfig"
cp "$(pkg-config --variable=pcfiledir talloc)/talloc.pc" "$scratch/pkgconfig"
export PKG_CONFIG_LIBDIR=$scratch/pkgconfig
cmake -S "$root" -B "$scratch/build" -DCMAKE_INSTALL_PREFIX="$scratch/prefix" \
    -DHQQ_BUILD_TESTS=OFF -DHQQ_BUILD_EXAMPLES=OFF -DHQQ_BUILD_TOOLS=OFF
cmake --build "$scratch/build"
cmake --install "$scratch/build"
if [ -e "$scratch/prefix/bin" ] || [ -e "$scratch/build/tests" ] || [ -e "$scratch/build/examples" ]; then
    echo "something was built or installed that had been turned off"
    exit 1
fi
linked=$(readelf -d "$(find "$scratch/prefix" -name libhqq.so)")
if grep -E 'NEEDED.*(lz4|sodium)' <<<"$linked"; then
    echo "libhqq.so is linked with a library that pkg-config does not know"
    exit 1
fi
for option in HQQ_WITH_LZ4 HQQ_WITH_SODIUM; do
    if cmake -S "$root" -B "$scratch/refused" -DHQQ_BUILD_TESTS=OFF -D$option=ON >"$scratch/log" 2>&1; then
        echo "$option=ON was content without the library"
        exit 1
    fi
    rm -rf "$scratch/refused"
done
