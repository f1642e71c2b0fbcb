#!/usr/bin/env bash
# dependencies.sh ROOT LIBRARY NAME... [-- LIBRARY NAME...]: each LIBRARY is linked with libc and the libraries NAMEd
# after it, all of these, and with nothing else; nor do they load more.
set -u
shift
failed=0

report() {
    echo "$1"
    failed=1
}

# check LIBRARY NAME...
check() {
    local library=$1 loaded linked name
    shift
    loaded=$(ldd "$library" | awk '{ sub(/.*\//, "", $1); print $1 }') || return 1
    linked=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p') || return 1
    for name in "$@"; do
        grep -q "^$name\.so\." <<<"$linked" || report "$library: is not linked with $name"
    done
    for name in $linked $loaded; do
        case $name in
        libc.so.* | linux-vdso.so.* | ld-linux*) continue ;;
        esac
        [[ " $* " == *" ${name%%.so.*} "* ]] || report "$library: is linked with $name, or loads it"
    done
}

while [ $# -gt 0 ]; do
    group=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        group+=("$1")
        shift
    done
    shift
    check "${group[@]}" || failed=1
done
exit $failed
