#!/usr/bin/env bash
# perf_sockets.sh TOOL [PRELOAD LOSE_DATAGRAMS]: hqq-perf-sockets does what its help says, and its rows run; of their
# figures nothing is asserted. LOSE_DATAGRAMS is the library of lose_datagrams.c. Without the libraries only the command
# line is tested (as with sanitizers, which must be loaded first).
set -u
tool=$1
preload=${2-}
lose=${3-}
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# refuses OPTION VALUE WORD: status 2, and one line on stderr that has the word and, quoted, the value
refuses() {
    runs 2 "$1" "$2" "$tool"
    check "one line about $1 $2" [ "$(wc -l <"$err")" -eq 1 ]
    check "$1 $2: names the option" grep -q -e "hqq-perf-sockets: $3" "$err"
    check "$1 $2: names the value" grep -qF -e "'$2'" "$err"
    check "$1 $2: prints nothing else" [ ! -s "$out" ]
}

# fits WHAT: no line of standard output is longer than 80 columns
fits() {
    check "$1 fits in 80 columns" [ -z "$(awk 'length > 80' "$out")" ]
}

help_names_every_option() {
    runs 0 --help
    for option in rows list pairs duration-ms warm-up-ms tolerance others timeout quick json help version; do
        check "help has --$option" grep -qE -e "^ +(-[a-zA-Z], |  +)--$option" "$out"
    done
    fits help
    runs 0 --version
    check "version has a number" grep -qE 'hqq-perf-sockets [0-9]+\.[0-9]+\.[0-9]+' "$out"
}

list_has_every_row() {
    runs 0 --list
    fits list
    for row in paced-10k paced-1k pairs-2 pairs-4 fifo-round-trip fifo-stream one-cpu-round-trip one-cpu-stream \
        wait-poll wait-select wait-epoll set-100-poll set-1000-poll set-5000-poll set-100-epoll set-1000-epoll \
        set-5000-epoll sleepers stream-64 stream-64-polled connected-64 batch-32 round-trip-64 round-trip-64-polled \
        stream-1k round-trip-1k connected-64k crowd-1 crowd-1000 answered-1000 set-up-1000 single fork-1000 fork-5000 \
        calls calls-no-paths start-true start-once start-log memory; do
        check "list has $row" grep -qE "^  $row +" "$out"
    done
}

bad_options_are_named() {
    refuses --rows bulk --rows
    refuses --rows '' --rows
    refuses --rows stream-64,nothing* --rows
    refuses --pairs 0 --pairs
    refuses -n 1001 --pairs
    refuses --duration-ms 1.5 --duration-ms
    refuses --duration-ms 0 --duration-ms
    refuses --warm-up-ms -1 --warm-up-ms
    refuses --tolerance 0.5 --tolerance
    refuses --tolerance nan --tolerance
    refuses --others 2 --others
    refuses --timeout 0 --timeout
    refuses --json "$scratch/missing/file" --json
    runs 2
    check "asks for the preload" grep -q 'expected the path of the preload' "$err"
    runs 2 "$scratch/missing"
    check "names the preload" grep -qF "'$scratch/missing'" "$err"
    runs 2 "$tool" more
    check "names the argument" grep -q "'more'" "$err"
    runs 2 --unknown "$tool"
    check "names --unknown" grep -q -e --unknown "$err"
}

every_row_runs() {
    runs 0 --list
    sed -n 's/^  \([^ ]*\).*/\1/p' "$out" >"$scratch/rows"
    runs 0 --quick --json="$scratch/json" "$preload"
    fits "the table"
    while read -r row; do
        check "the table has $row" grep -q "^$row: " "$out"
    done <"$scratch/rows"
    check "the table counts bounds" grep -qE '^[0-9]+ bounds met, [0-9]+ not met; [0-9]+ rows left out, 0 failed' "$out"
    check "the curve of sleepers is there" grep -qE '^ +preloaded +[0-9.-]+ ' "$out"
    python3 -c '' 2>/dev/null || return
    check "JSON is sound" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
names = [row["name"] for row in report["rows"]]
assert names == open(sys.argv[2]).read().split(), names
for row in report["rows"]:
    if row["state"] == "left out":
        assert row["why"] and not row["pairs"]
        continue
    assert row["state"] in ("measured", "never quiet") and row["kept"] == len(row["pairs"]) == 1, row
    for line in row["lines"]:
        assert (line["verdict"] == "none") == (line["bound"] is None), line
        assert line["doubtful"] == "yes" and line["value"]["p10"] <= line["value"]["median"] <= line["value"]["p90"]
        if line["comparison"] != "limit":
            assert line["plain"]["median"] > 0 and line["preloaded"]["median"] > 0, (row["name"], line)
        if line["comparison"] == "beside":
            assert line["beside"]["median"] > 0, line
    for pair in row["pairs"]:
        assert 3 <= len(pair["cache_line_ns"]) <= 4 and 0 <= pair["others"] <= 1' "$scratch/json" "$scratch/rows"
}

rows_are_chosen() {
    runs 0 --quick -r 'one-*,single' --json=- "$preload"
    check "JSON only" [ "$(head -c 1 "$out")" = '{' ]
    check "three rows" [ "$(grep -c '"name":' "$out")" -eq 3 ]
    runs 0 --quick -n 2 -r single "$preload"
    check "two pairs" grep -q '/2 pairs' "$out"
    runs 0 --quick -n 1 --others 1 --tolerance 1000 -r single "$preload"
    check "a pair that nobody minds is kept" grep -qx '  1/1 pairs' "$out"
    "$tool" --quick -r single "$preload" >/dev/full 2>"$err"
    check "a full disk is an error" [ $? -eq 1 ]
}

# By who may not be SCHED_FIFO, though he is root.
what_is_not_allowed_is_left_out() {
    setpriv --bounding-set=-sys_nice true 2>/dev/null || return 0
    [ "$(ulimit -r)" = 0 ] || return 0
    setpriv --bounding-set=-sys_nice "$tool" --quick -r fifo-stream,single "$preload" >"$out" 2>"$err"
    check "a row that is left out is no error" [ $? -eq 0 ]
    check "says what it needs" grep -q 'left out: needs SCHED_FIFO' "$out"
    check "counts it" grep -q '1 rows left out, 0 failed' "$out"
}

# The loader goes on without what it can't load.
a_preload_that_is_not_loaded_is_an_error() {
    echo "no library" >"$scratch/none"
    runs 1 --quick -r single "$scratch/none"
    check "says so" grep -q 'the preload was not loaded' "$err"
}

# loses ARGUMENT...: the quick runs of these rows, which lose datagrams; once more, and with more time, if plain ones stalled,
# which is a busy machine's doing.
loses() {
    local seconds
    for seconds in 3 10 30; do
        runs 1 --quick --timeout=$seconds "$@" "$lose"
        grep -q 'a plain run' "$err" || break
    done
}

# Where the next datagram comes in the place of the lost one, that is told; where none comes, the run stalls.
a_lost_datagram_is_an_error() {
    local told=(stream-64 stream-64-polled connected-64 batch-32 one-cpu-stream paced-10k wait-poll wait-select wait-epoll
        crowd-100 crowd-1000-of-4 set-up-1000 single start-log)
    local stalled=(round-trip-64 round-trip-64-polled pairs-2 sleepers set-100-poll set-100-epoll answered-100)
    runs 1 --quick --rows="$(IFS=, && echo "${told[*]}")" "$lose"
    check "each row is said to have failed" grep -q "0 rows left out, ${#told[@]} failed\$" "$out"
    check "each loss is told" [ "$(grep -c 'a datagram is missing or out of order' "$err")" -ge "${#told[@]}" ]
    for row in "${told[@]}"; do
        check "the preloaded run of $row failed" grep -qx "hqq-perf-sockets: $row: a preloaded run failed" "$err"
    done
    loses --rows="$(IFS=, && echo "${stalled[*]}")"
    for row in "${stalled[@]}"; do
        check "a lost datagram of $row is noticed" grep -qE "$row: a preloaded run (stalled|failed)" "$err"
    done
    # Each datagram costs a program, and the first that is lost is the tenth.
    loses --duration-ms=2000 --rows=start-once
    check "a lost datagram of start-once is noticed" grep -qE "start-once: a preloaded run (stalled|failed)" "$err"
}

help_names_every_option
list_has_every_row
bad_options_are_named
if [ -n "$preload" ] && [ -n "$lose" ]; then
    every_row_runs
    rows_are_chosen
    what_is_not_allowed_is_left_out
    a_preload_that_is_not_loaded_is_an_error
    a_lost_datagram_is_an_error
fi
exit $failed
