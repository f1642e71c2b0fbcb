#!/usr/bin/env bash
# layering_finds.sh ROOT: layering.sh must be content with a tree that keeps its rules, and must find what was broken in
# it on purpose: an upward include in each direction that matters, circles over two units, three, and folders of folders,
# and headers that are named wrongly.
set -u
layering=$1/tests/package/layering.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# put FILE HEADER...: a file that includes these
put() {
    local file=$scratch/tree/$1
    shift
    mkdir -p "$(dirname "$file")"
    for header; do echo "#include \"$header\""; done >"$file"
}

# a tree in which all is well: layers that are there and layers that are not, a unit without a header, two that meet
begin() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/include"
    put src/base/atomic.h
    echo '#include <stdatomic.h>' >>"$scratch/tree/src/base/atomic.h"
    put src/ring/ring.h base/atomic.h
    put src/ring/ring.c ring/ring.h base/atomic.h
    put src/ring/wait.h ring/ring.h
    put src/ring/wait.c ring/wait.h ring/ring.h
    put src/advanced/open.c ring/wait.h
    put src/channel/tx/room.h advanced/state.h
    put src/socket/poll.c socket/poll.h channel/tx/room.h
    put src/tools/perf/main.c socket/poll.h
    put preload/wait.c preload/wait.h socket/poll.h
}

# expect PATTERN WHAT: layering.sh fails and says so; without a PATTERN it passes
expect() {
    local output status
    output=$(bash "$layering" "$scratch/tree" 2>&1)
    status=$?
    if [ -z "$1" ] && [ $status -ne 0 ]; then
        echo "layering.sh found fault with $2:"
    elif [ -n "$1" ] && { [ $status -eq 0 ] || ! grep -qE "$1" <<<"$output"; }; then
        echo "layering.sh did not find $2 (status $status, nothing like '$1'):"
    else
        return
    fi
    printf '%s\n' "$output"
    failed=1
}

begin
expect '' 'a tree that keeps the rules'

begin; put src/ring/bell.c standard/state.h
expect '^src/ring/bell.c:1: "standard/state.h" is above ring' 'an upward include'
begin; put src/advanced/call.c channel/tx/room.h
expect 'src/advanced/call.c:1: "channel/tx/room.h" is above advanced' 'an include of a layer that is new'
begin; put src/socket/send.c tools/perf/run.h
expect 'src/socket/send.c:1: "tools/perf/run.h" is above socket' 'an include of a tool by the library'
begin; put src/socket/send.c preload/hook.h
expect 'src/socket/send.c:1: "preload/hook.h" is above socket' 'an include of the preload by the library'
begin; put preload/init.c tools/perf/run.h
expect 'preload/init.c:1: "tools/perf/run.h" is above preload' 'an include of a tool by the preload'
begin; put src/tools/run/main.c preload/hook.h
expect 'src/tools/run/main.c:1: "preload/hook.h" is above tools' 'an include of the preload by a tool'

begin; put src/ring/ring.c ring/ring.h ring/wait.h
expect 'closes a circle: ring/ring includes ring/wait|closes a circle: ring/wait includes ring/ring' \
    'a circle of two units, which one of their sources closes'
begin; put src/base/a.c base/b.h; put src/base/b.h base/c.h; put src/base/c.c base/c.h base/a.h; put src/base/a.h
expect 'closes a circle' 'a circle of three units'
begin; put src/channel/tx/room.c channel/rx/peek.h; put src/channel/rx/peek.h channel/tx/room.h
expect 'closes a circle' 'a circle over two folders of one layer'
begin; put src/tools/perf/a.h tools/perf/b.h; put src/tools/perf/b.c tools/perf/a.h
expect 'closes a circle' 'a circle of tools'
begin; put preload/a.h preload/b.h; put preload/b.c preload/a.h
expect 'closes a circle' 'a circle in the preload'

begin; put src/ring/bell.c ring.h
expect 'src/ring/bell.c:1: "ring.h": say "ring/ring.h"' 'a header without its folder'
begin; put src/ring/bell.c rings/ring.h
expect 'is of no layer' 'a header of no layer'
begin; put src/rings/ring.c base/atomic.h
expect 'src/rings/:1: not a layer' 'a folder that is no layer'
begin; echo '#include <stdatomic.h>' >"$scratch/tree/src/ring/ring.h"
expect 'src/ring/ring.h:1: <stdatomic.h> is included by' 'atomics besides base/atomic.h'

exit $failed
