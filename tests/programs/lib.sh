# shellcheck shell=bash
# lib.sh: what the tests of this folder share; each sources it. A test starts programs that know nothing of this library,
# each as a "plain" or as a "preloaded" one, in all four pairings, and looks at what arrived. All that a test starts ends
# with it, and all it writes is in one scratch folder.
#
# HQQ_RUN in the environment is the hqq-run to preload by; or HQQ_PRELOAD_LIBRARY the library, which leaves no reports
# behind, so that what took the ring is not looked at. With neither there are plain programs only, and the test says so.
#
# Waiting is always for something, up to a limit; a limit that passes fails the test.
set -u
export LC_ALL=C
export PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH # the distribution's programs first; those of daemons too
export -n HQQ_RUN HQQ_PRELOAD_LIBRARY           # no settings of the library: programs must not inherit them
exec </dev/null
unset LD_PRELOAD HQQ_PATHS HQQ_CONFIG HQQ_DISABLE HQQ_LINK_AFTER HQQ_SPIN_US HQQ_POLLING

test_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH=$test_folder PYTHONDONTWRITEBYTECODE=1
limit=60   # seconds for anything that is waited for
scratch=$(mktemp -d)
folders=0  # in it, one a pairing
declare -A started=() kinds=() # process id and kind of every program, by its name

# fail TEXT: ends the test, with what all programs of the pairing had to say
fail() {
    local file
    echo "failed: ${sender-}${sender:+ to ${receiver-}: }$1"
    for file in "${work-$scratch}"/*.{out,err,json}; do
        [ ! -s "$file" ] || { echo "  $(basename "$file"):" && tail -n 10 "$file" | cat -v | cut -c 1-160 | sed 's/^/    /'; }
    done
    exit 1
}

# check WHAT COMMAND...: fails if the command does
check() {
    local what=$1
    shift
    "$@" || fail "$what"
}

clean_up() {
    local name
    for name in "${!started[@]}"; do
        { kill -KILL -- "-${started[$name]}" && wait "${started[$name]}"; } 2>/dev/null # its process group
    done
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

exec {silence}<> <(:) # a pipe that nobody writes to: waiting on it is a pause without a process
until_true() { # WHAT COMMAND...: waits until the command succeeds
    local what=$1 end=$((SECONDS + limit + 1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "waited $limit s for $what"
        read -r -t 0.005 -u "$silence"
    done
}

# is_bound SOCKET: its path, or "@" and its abstract name
is_bound() {
    local name
    for name in "${!started[@]}"; do
        ! has_ended "${started[$name]}" || fail "$name ended early"
    done
    [ -S "$1" ] || { [ "${1:0:1}" = @ ] && grep -qF " $1" /proc/net/unix; }
}

wait_for_socket() { # SOCKET
    until_true "socket $1" is_bound "$1"
}

# as KIND NAME COMMAND...: becomes the command, in a process group of its own. How a program is preloaded stands here and nowhere else.
as() {
    local kind=$1 name=$2
    shift 2
    if [ "$kind" = plain ]; then
        exec setsid "$@"
    elif [ -n "${HQQ_RUN-}" ]; then
        exec setsid "$HQQ_RUN" -p "$moved" --polling=always --report="$work/$name.json" --json -- "$@"
    else
        exec setsid env LD_PRELOAD="$HQQ_PRELOAD_LIBRARY" HQQ_PATHS="$moved" HQQ_POLLING=always "$@"
    fi
}

# start KIND NAME COMMAND...: in the background. Its output is $work/NAME.out and $work/NAME.err; its input is that of the
# caller.
start() {
    local kind=$1 name=$2
    shift 2
    kinds[$name]=$kind
    (
        exec {silence}<&-
        as "$kind" "$name" "$@"
    ) <&0 >"$work/$name.out" 2>"$work/$name.err" &
    started[$name]=$!
}

# has_ended PID
has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# finish NAME [STATUS]: waits for its end, with that exit status (0)
finish() {
    local name=$1 expected=${2-0} status
    until_true "the end of $name" has_ended "${started[$name]}"
    wait "${started[$name]}"
    status=$?
    unset "started[$name]"
    [ $status -eq "$expected" ] || fail "$name: exit status $status"
    [ "${kinds[$name]}" = plain ] || ! grep -q hqq "$work/$name.err" || fail "$name: the library wrote to its stderr"
}

# stop NAME: asks a program that does not end by itself to end
stop() {
    local name=$1
    ! has_ended "${started[$name]}" || fail "$name ended early"
    kill -TERM "${started[$name]}"
    until_true "the end of $name" has_ended "${started[$name]}"
    wait "${started[$name]}" 2>/dev/null # its status is its own matter
    unset "started[$name]"
}

# run KIND NAME COMMAND...: in the foreground, to a good end
run() {
    start "$@"
    finish "$2"
}

# every_pairing FUNCTION ARGUMENT...: calls it in an empty folder $work for each kind of $sender and $receiver. Sockets
# in that folder are moved by preloaded programs, and abstract ones whose name starts with $abstract.
every_pairing() {
    local kinds_here=(plain preloaded) done_so_far=0
    if [ -z "${HQQ_RUN-}${HQQ_PRELOAD_LIBRARY-}" ]; then
        kinds_here=(plain)
        [ -e "$scratch/told" ] || echo "neither HQQ_RUN nor HQQ_PRELOAD_LIBRARY is set: plain programs only"
        touch "$scratch/told"
    fi
    for sender in "${kinds_here[@]}"; do
        for receiver in "${kinds_here[@]}"; do
            folders=$((folders + 1))
            work=$scratch/$folders-$sender-$receiver # short: a socket's path has 107 bytes
            abstract=$work
            moved="$work/*:@$abstract*"
            mkdir "$work"
            "$@"
            done_so_far=$((done_so_far + 1))
        done
    done
    echo "$*: $done_so_far pairings"
    unset sender receiver
}

# expect_ring NAME SOCKET: no datagram that the program received on the socket took a ring if one end is plain. If both are
# preloaded, how many did is printed and not judged: a receiver that sleeps gets its datagrams from the kernel, and when it
# sleeps is up to the scheduler; the reports must have counted them all the same. SOCKET is its path, or "@" and its name.
expect_ring() {
    [ -n "${HQQ_RUN-}" ] && [ "${kinds[$1]}" = preloaded ] || return 0
    python3 "$test_folder/expect_ring.py" "$work" "$1" "$2" "$sender $receiver" || fail "$1: what took the ring on $2"
}
