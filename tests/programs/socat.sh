#!/usr/bin/env bash
# socat: a file as datagrams, by every one of its addresses for them; and questions and answers.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
count=3000
size=1000
file=$scratch/file
python3 -c '
import sys
for number in range(int(sys.argv[1])):
    print(f"{number:05} ".ljust(int(sys.argv[2]) - 1, "-"))' $count $size >"$file"

# expect_file: each line of the file has arrived as one datagram. Socat counts on its stderr what it transfers.
expect_file() {
    check "the file arrived" cmp "$file" "$work/received"
    check "each datagram is one line" [ "$(grep -c "transferred $size bytes" "$work/receive.err")" -eq $count ]
}

# stream ADDRESS [OPTIONS]: the sender's; an empty datagram is the end
stream() {
    start "$receiver" receive socat -u -d -d -d -b 65536 "UNIX-RECV:$work/in,null-eof" "CREATE:$work/received"
    wait_for_socket "$work/in"
    run "$sender" send socat -u -b $size "FILE:$file" "$1:$work/in${2-},shut-null"
    finish receive
    expect_file
    expect_ring receive "$work/in"
}

by_abstract_name() {
    start "$receiver" receive socat -u -d -d -d -b 65536 "ABSTRACT-RECV:$abstract,null-eof" "CREATE:$work/received"
    wait_for_socket "@$abstract"
    run "$sender" send socat -u -b $size "FILE:$file" "ABSTRACT-SENDTO:$abstract,shut-null"
    finish receive
    expect_file
    expect_ring receive "@$abstract"
}

# Both ends are bound, and know each other's name. BURST at a time.
dialogue() {
    start "$receiver" answer socat -t 0.1 -b 65536 "UNIX-SENDTO:$work/client,bind=$work/server,null-eof" PIPE
    wait_for_socket "$work/server"
    run "$sender" ask socat -t 0.1 "UNIX-SENDTO:$work/server,bind=$work/client,shut-null" \
        "EXEC:python3 $test_folder/asker.py $count $1"
    finish answer
    expect_ring answer "$work/server"
    expect_ring ask "$work/client"
}

# A process for every question: the server peeks and forks, and its child takes the datagram and answers, for which it has
# time, however busy the machine. Every question comes from a socket of its own.
process_each() {
    local number
    start "$receiver" answer socat -t 30 "UNIX-RECVFROM:$work/server,fork" EXEC:cat
    wait_for_socket "$work/server"
    for ((number = 0; number < 20; number++)); do
        run "$sender" "ask$number" socat -t 0 "UNIX-SENDTO:$work/server,bind=$work/client$number" \
            "EXEC:python3 $test_folder/asker.py 1"
    done
    stop answer
}

every_pairing stream UNIX-SENDTO
every_pairing stream UNIX-CLIENT
every_pairing stream UNIX-CONNECT ,type=2
every_pairing by_abstract_name
every_pairing dialogue 1
every_pairing dialogue 4
every_pairing process_each
