#!/usr/bin/env bash
# peers.sh [--part stream|dialogue] [--static PROGRAM] COMMAND...: a peer program with the roles "receive" and "send" (a
# stream) and "echo" and "ask" (a dialogue), or with those of one part. PROGRAM, which is linked statically so that no
# preload reaches it, sends and asks once more, started by one that is reached.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
parts=(stream dialogue)
static=()
while [ "${1:0:2}" = -- ]; do
    case $1 in
    --part) parts=("$2") ;;
    --static) static=(env "$2") ;;
    *) fail "no option $1" ;;
    esac
    shift 2
done
peer=("$@")
count=3000

# stream COMMAND...: the sender's
stream() {
    start "$receiver" receive "${peer[@]}" receive "$work/in" $count
    wait_for_socket "$work/in"
    run "$sender" send "$@" send "$work/in" $count
    finish receive
    [ "$*" = "${static[*]}" ] || expect_ring receive "$work/in"
}

# dialogue COMMAND...: the sender's
dialogue() {
    start "$receiver" echo "${peer[@]}" echo "$work/server"
    wait_for_socket "$work/server"
    run "$sender" ask "$@" ask "$work/server" $count "$work/client"
    finish echo
    if [ "$*" != "${static[*]}" ]; then
        expect_ring echo "$work/server"
        expect_ring ask "$work/client"
    fi
}

for part in "${parts[@]}"; do
    every_pairing "$part" "${peer[@]}"
    [ ${#static[@]} -eq 0 ] || every_pairing "$part" "${static[@]}"
done
