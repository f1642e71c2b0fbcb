#!/usr/bin/env bash
# dependencies.sh ROOT LIBRARY: libhqq.so and all it loads need libc and talloc, and nothing else.
set -u
library=$2
failed=0
loaded=$(ldd "$library") || exit 1
while read -r name _; do
    case $(basename "$name") in
    libc.so.* | libtalloc.so.* | linux-vdso.so.* | ld-linux*) ;;
    *)
        echo "$library: loads $name"
        failed=1
        ;;
    esac
done <<<"$loaded"
while read -r name; do
    case $name in
    libc.so.* | libtalloc.so.*) ;;
    *)
        echo "$library: is linked with $name"
        failed=1
        ;;
    esac
done < <(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
exit $failed
