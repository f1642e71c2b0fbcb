#!/usr/bin/env bash
# chronyc asking chronyd over its command socket. Who gets no answer asks again, and chronyd counts what it is asked: so
# the counts tell if anything was lost or came twice; after longer than a busy machine needs. Chronyd leaves the clock and
# the network alone here.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
questions=1500 # of each of two kinds
{
    printf 'timeout %s\n' 20000 # milliseconds
    for ((number = 0; number < questions; number++)); do
        printf 'tracking\nserverstats\n'
    done
} >"$scratch/questions"

ask() {
    cat >"$work/chrony.conf" <<TEXT
local stratum 8
port 0
cmdport 0
bindcmdaddress $work/run/chronyd.sock
pidfile $work/chronyd.pid
TEXT
    start "$receiver" chronyd chronyd -d -x -U -u "$(id -un)" -f "$work/chrony.conf"
    wait_for_socket "$work/run/chronyd.sock"
    run "$sender" chronyc chronyc -n -h "$work/run/chronyd.sock" <"$scratch/questions"
    stop chronyd
    check "every first question has its answer" [ "$(grep -c '^Stratum *: 8$' "$work/chronyc.out")" -eq $questions ]
    check "every second question is counted once" cmp <(seq 2 2 $((2 * questions))) \
        <(sed -n 's/^Command packets received *: //p' "$work/chronyc.out")
    check "nothing was dropped" [ "$(grep -c '^Command packets dropped *: 0$' "$work/chronyc.out")" -eq $questions ]
    expect_ring chronyd "$work/run/chronyd.sock"
}

every_pairing ask
