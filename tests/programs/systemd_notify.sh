#!/usr/bin/env bash
# systemd-notify: processes that send one datagram or two and end, with credentials and a descriptor. None of this is what
# a ring is for; all of it must arrive.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
calls=300

notify() {
    start "$receiver" receive python3 "$test_folder/systemd_notify/receiver.py" "$work/notify" $calls
    wait_for_socket "$work/notify"
    # shellcheck disable=SC2016
    NOTIFY_SOCKET=$work/notify run "$sender" send bash -c '
        for ((number = 0; number < $1; number += 2)); do
            systemd-notify --no-block --status="call $number" || exit
            systemd-notify --status="call $((number + 1))" || exit
        done' bash $calls
    finish receive
}

every_pairing notify
