#!/usr/bin/env bash
# headers.sh ROOT [CXX]: each public header compiles alone and included twice, as strict C11 and as C++17, without a
# warning.
set -u
cd "$1" || exit 1
cxx=${2-}
failed=0
[ -x "$cxx" ] || echo "no C++ compiler here: only C was tried"
for header in include/hqq/*.h; do
    name=hqq/$(basename "$header")
    code=$(printf '#include <%s>\n#include <%s>\nextern int not_empty;' "$name" "$name")
    for compiler in "${CC:-cc} -std=c11 -x c" ${cxx:+"$cxx -std=c++17 -x c++"}; do
        # shellcheck disable=SC2086 # words are wanted
        if ! $compiler -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude - <<<"$code"; then
            echo "$header:1: does not compile alone: $compiler"
            failed=1
        fi
    done
done
exit $failed
