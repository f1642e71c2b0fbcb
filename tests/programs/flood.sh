#!/usr/bin/env bash
# Two Python programs at full speed: rings and kernel queues run full and empty, and order must survive it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
count=200000

flood() {
    start "$receiver" receive python3 "$test_folder/python/flood.py" receive "$work/in" $count
    wait_for_socket "$work/in"
    run "$sender" send python3 "$test_folder/python/flood.py" send "$work/in" $count
    finish receive
    expect_ring receive "$work/in"
}

every_pairing flood
