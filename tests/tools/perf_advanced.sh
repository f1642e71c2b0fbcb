#!/usr/bin/env bash
# perf_advanced.sh TOOL: hqq-perf-advanced does what its help says; of its figures nothing is asserted.
set -u
tool=$1
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# refuses OPTION VALUE WORD: status 2, and one line on stderr that has the word and, quoted, the value
refuses() {
    runs 2 "$1" "$2"
    check "one line about $1 $2" [ "$(wc -l <"$err")" -eq 1 ]
    check "$1 $2: names the option" grep -q -e "hqq-perf-advanced: $3" "$err"
    check "$1 $2: names the value" grep -qF -e "'$2'" "$err"
    check "$1 $2: prints nothing else" [ ! -s "$out" ]
}

help_names_every_option() {
    runs 0 --help
    for option in parts cpus rounds extra duration-ms bracket-ms tolerance keep slots slot-bytes timeout quick json \
        help version; do
        check "help has --$option" grep -qE -e "^ +(-[a-zA-Z], |  +)--$option" "$out"
    done
    runs 0 --version
    check "version has a number" grep -qE 'hqq-perf-advanced [0-9]+\.[0-9]+\.[0-9]+, library [0-9]' "$out"
}

bad_options_are_named() {
    refuses --parts bulk --parts
    refuses -p '' --parts
    refuses --cpus 0 --cpus
    refuses --rounds 0 --rounds
    refuses --tolerance nan --tolerance
    refuses --keep worst --keep
    refuses --slots 3 --slots
    refuses --slot-bytes 100 --slot-bytes
    refuses --json "$scratch/missing/file" --json
    runs 2 argument
    check "names the argument" grep -q "'argument'" "$err"
}

all_is_reported() {
    runs 0 --quick --json="$scratch/json"
    for word in machine system command processes links runs ping-pong; do
        check "the head has '$word'" grep -q -e "^$word" "$out"
    done
    for transport in hqq advanced unix-stream memcpy alone urgent no-priorities 4-connections; do
        check "the tables have $transport" grep -qE "^$transport " "$out"
    done
    if python3 -c '' 2>/dev/null; then
        check "JSON is sound" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
cells = report["cells"]
assert all(len(cell["runs"]) == 2 for cell in cells)
assert all(run["count"] > 0 and run["ns"] > 0 for cell in cells for run in cell["runs"])
known = [cell for cell in cells if cell["ns"]["count"] > 0] # the others lost all their runs: their figures are null
assert all(cell["p99_ns"] >= cell["p50_ns"] > 0 for cell in known if cell["kind"] == "roundtrip")
assert all(0 < cell["shares"] <= 1 for cell in known if cell["transport"] == "4-connections")
assert len({cell["group"] for cell in cells}) == 6' "$scratch/json"
    fi
}

# Small slots, encryption included, and one processor for both.
any_link_will_do() {
    local cpu
    cpu=$(taskset -cp $$ 2>/dev/null | sed 's/.*: \([0-9]*\).*/\1/')
    runs 0 --quick -p calls,classes,shares --slots 4 --slot-bytes 64
    runs 0 --quick -p calls --cpus "${cpu:-0},${cpu:-0}" --json=-
    check "JSON only" [ "$(head -c 1 "$out")" = '{' ]
}

help_names_every_option
bad_options_are_named
all_is_reported
any_link_will_do
exit $failed
