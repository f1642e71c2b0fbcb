#!/usr/bin/env bash
# perf.sh PERF [LOSE_MESSAGES]: hqq-perf does what its help says; of its figures nothing is asserted. LOSE_MESSAGES is
# the library of lose_messages.c; without it the test of a wrong message is left out (as with sanitizers, which must be
# loaded first).
set -u
tool=$1
lose=${2-}
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# refuses OPTION VALUE WORD: status 2, and one line on stderr that has the word and, quoted, the value
refuses() {
    runs 2 "$1" "$2"
    check "one line about $1 $2" [ "$(wc -l <"$err")" -eq 1 ]
    check "$1 $2: names the option" grep -q -e "$3" "$err"
    check "$1 $2: names the value" grep -qF -e "'$2'" "$err"
    check "$1 $2: prints nothing else" [ ! -s "$out" ]
}

help_names_every_option() {
    runs 0 --help
    for option in transports kinds modes sizes cpus rounds extra duration-ms bracket-ms tolerance keep baseline slots \
        batch spin-us timeout quick json csv verbose help version; do
        check "help has --$option" grep -qE -e "^ +(-[a-zA-Z], |  +)--$option" "$out"
    done
    runs 0 --version
    check "version has a number" grep -qE 'hqq-perf [0-9]+\.[0-9]+\.[0-9]+, library [0-9]' "$out"
}

bad_options_are_named() {
    refuses --transports tcp --transports
    refuses --kinds both --kinds
    refuses --modes '' --modes
    refuses --sizes 63 --sizes
    refuses -s 100 --sizes
    refuses --sizes 128,64 --sizes
    refuses --cpus 0 --cpus
    refuses --cpus 0,4095 --cpus
    refuses --rounds 0 --rounds
    refuses --rounds -1 --rounds
    refuses --duration-ms 1.5 --duration-ms
    refuses --tolerance nan --tolerance
    refuses --keep worst --keep
    refuses --baseline tcp --baseline
    refuses --slots 3 --slots
    refuses --batch 99999999999999999999 --batch
    refuses --timeout 0 --timeout
    refuses --json "$scratch/missing/file" --json
    runs 2 --unknown
    check "names --unknown" grep -q -e --unknown "$err"
    runs 2 argument
    check "names the argument" grep -q "'argument'" "$err"
    runs 2 -t memcpy -k roundtrip
    check "nothing to measure" grep -q 'nothing to measure' "$err"
}

all_is_reported() {
    runs 0 --quick --verbose --json="$scratch/json" --csv="$scratch/csv"
    for word in machine system command processes runs ping-pong 'Round trip' 'One-way stream' 'cpu ns'; do
        check "tables have '$word'" grep -q -e "$word" "$out"
    done
    for transport in pingpong hqq hqq-batch hqq-zerocopy unix unix-spin memcpy memcpy-pair; do
        check "tables have $transport" grep -qE "^ +(-|64) +$transport " "$out"
        check "CSV has $transport" grep -q ",$transport," "$scratch/csv"
    done
    check "every line of the CSV has the same fields" \
        [ "$(awk -F, '{ print NF }' "$scratch/csv" | sort -u | wc -l)" -eq 1 ]
    if python3 -c '' 2>/dev/null; then
        check "JSON can be read" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
assert report["cells"] and all(cell["runs"] for cell in report["cells"])' "$scratch/json"
    fi
}

one_processor_is_enough() {
    local cpu
    cpu=$(taskset -cp $$ 2>/dev/null | sed 's/.*: \([0-9]*\).*/\1/')
    runs 0 --quick --cpus "${cpu:-0},${cpu:-0}" --sizes 64
    check "says that it is one" grep -q 'the same' "$out"
}

# One file alone on standard output.
output_can_be_piped() {
    runs 0 --quick -s 64 -t pingpong,hqq,unix -k roundtrip --csv=-
    check "CSV only" [ "$(grep -cv , "$out")" -eq 0 ]
    "$tool" --quick -s 64 -t unix -k roundtrip >/dev/full 2>"$err"
    check "a full disk is an error" [ $? -eq 1 ]
}

# peer_of DRIVER: waits until it has a child, and prints that
peer_of() {
    while kill -0 "$1" 2>/dev/null; do
        pgrep -P "$1" && return
    done
}

# A peer that stops, or dies, is an error and no hang. ctest ends this test if it is one.
peer_that_fails_is_an_error() {
    local signal=$1 transport=$2 driver peer
    "$tool" -t "$transport" -k roundtrip -s 64 -r 20 -d 1500 --timeout 1 >"$out" 2>"$err" &
    driver=$!
    peer=$(peer_of $driver | head -n 1)
    kill -s "$signal" "$peer"
    wait $driver
    check "$signal to the peer of $transport is an error" [ $? -eq 1 ]
    check "$signal to the peer of $transport is told" grep -qE 'stalled|gone|died' "$err"
    check "no peer is left" [ ! -d "/proc/$peer" ]
}

wrong_message_is_an_error() {
    for transport in hqq unix; do
        LD_PRELOAD=$lose "$tool" --quick -t $transport -k stream -s 64 >"$out" 2>"$err"
        check "a lost message of $transport is an error" [ $? -eq 1 ]
        check "a lost message of $transport is told" grep -qE 'message [0-9]+ was due, [0-9]+ came' "$err"
    done
}

help_names_every_option
bad_options_are_named
all_is_reported
one_processor_is_enough
output_can_be_piped
peer_that_fails_is_an_error STOP hqq
peer_that_fails_is_an_error KILL hqq
peer_that_fails_is_an_error KILL unix
peer_that_fails_is_an_error SEGV pingpong
[ -z "$lose" ] || wrong_message_is_an_error
exit $failed
