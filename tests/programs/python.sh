#!/usr/bin/env bash
# python.sh STYLE...: Python's sockets in the styles of python/peer.py; messages of 0 to 200,000 bytes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
peer=$test_folder/python/peer.py
count=3000

stream() {
    start "$receiver" receive python3 "$peer" receive "$1" "$work/in" $count --large
    wait_for_socket "$work/in"
    run "$sender" send python3 "$peer" send "$1" "$work/in" $count --large
    finish receive
    expect_ring receive "$work/in"
}

dialogue() {
    start "$receiver" echo python3 "$peer" echo "$1" "$work/server"
    wait_for_socket "$work/server"
    run "$sender" ask python3 "$peer" ask "$1" "$work/server" $count "$work/client" --large
    finish echo
    expect_ring echo "$work/server"
    expect_ring ask "$work/client"
}

# Three at once, bound to names of their own, one of them of the receiver's kind: order is per sender.
several_senders() {
    local name
    start "$receiver" receive python3 "$peer" receive "$1" "$work/in" $count --senders 3
    wait_for_socket "$work/in"
    for name in one two; do
        start "$sender" $name python3 "$peer" send blocking "$work/in" $count "$work/$name"
    done
    start "$receiver" three python3 "$peer" send blocking "$work/in" $count "$work/three"
    for name in one two three receive; do
        finish $name
    done
}

for style in "$@"; do
    every_pairing stream "$style"
    every_pairing dialogue "$style"
    [ "$style" = asyncio ] || every_pairing several_senders "$style"
done
