#!/usr/bin/env bash
# OpenBSD's netcat: a file as datagrams, and questions and answers. A netcat that listens peeks at the first datagram and
# connects to its sender.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
count=2500
size=16384 # what netcat reads at a time, and so a datagram
head -c $((count * size)) /dev/urandom >"$scratch/file"

stream() {
    start "$receiver" receive nc -U -u -l -W $count "$work/in"
    wait_for_socket "$work/in"
    run "$sender" send nc -U -u -N -q 0 -s "$work/out" "$work/in" <"$scratch/file"
    finish receive 1 # its way to end: it fails to disconnect a unix socket
    check "that is all it complains about" [ "$(cat "$work/receive.err")" = "nc: connect: Invalid argument" ]
    check "the file arrived" cmp "$scratch/file" "$work/receive.out"
    expect_ring receive "$work/in"
}

# The answering netcat reads, by a pipe, what it writes.
dialogue() {
    mkfifo "$work/answer.out" "$work/ask.out"
    start "$receiver" answer nc -U -u -l "$work/server" <>"$work/answer.out"
    wait_for_socket "$work/server"
    start "$sender" ask nc -U -u -N -W $count -s "$work/client" "$work/server" < <(
        python3 "$test_folder/asker.py" $count <"$work/ask.out"
        echo $? >"$work/asker.status"
    )
    finish ask
    stop answer
    until_true "the end of the asker" [ -s "$work/asker.status" ]
    check "the answers were right" [ "$(cat "$work/asker.status")" = 0 ]
    expect_ring answer "$work/server"
    expect_ring ask "$work/client"
}

every_pairing stream
every_pairing dialogue
