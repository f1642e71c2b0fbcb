#!/usr/bin/env bash
# util-linux's logger into rsyslogd: every line is in the log, once, in order. Rsyslogd as packaged asks for the sender's
# credentials, which only the kernel can give; told not to, its datagrams can take the ring.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
lines=2500
python3 -c '
import sys
for number in range(int(sys.argv[1])):
    print(f"line {number}", "-" * (number * 37 % 4000), "end")' $lines >"$scratch/lines"

# configure CREDENTIALS: whether rsyslogd asks for them ("on" or "off")
configure() {
    local limit_interval=0
    [ "$1" = off ] || limit_interval=3600 # it needs the sender for a limit, too
    cat >"$work/rsyslog.conf" <<TEXT
global(workDirectory="$work" maxMessageSize="8k")
main_queue(queue.workerThreads="1")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$work/log" UsePIDFromSystem="$1" UseSysTimeStamp="$1"
    RateLimit.Interval="$limit_interval" RateLimit.Burst="1000000")
template(name="text" type="string" string="%msg:2:$%\n")
action(type="omfile" file="$work/received" template="text")
TEXT
}

all_lines_are_there() {
    [ -f "$work/received" ] && [ "$(wc -l <"$work/received")" -ge $lines ]
}

log() {
    configure "$1"
    start "$receiver" rsyslogd rsyslogd -n -C -f "$work/rsyslog.conf" -i "$work/rsyslogd.pid"
    wait_for_socket "$work/log"
    run "$sender" logger logger -u "$work/log" --socket-errors=on --size 8000 --tag test -f "$scratch/lines"
    until_true "$lines lines" all_lines_are_there
    stop rsyslogd
    check "the lines are those that were sent" cmp "$scratch/lines" "$work/received"
    [ "$1" = on ] || expect_ring rsyslogd "$work/log"
}

every_pairing log off
every_pairing log on
