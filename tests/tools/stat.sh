#!/usr/bin/env bash
# stat.sh STAT FILL_COUNTERS: hqqstat shows the counters of live processes, whatever is in them. FILL_COUNTERS is the
# program of fill_counters.c.
set -u
tool=$1
fill=$2
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
said=$scratch/said
pid=
unset HQQ_PATHS HQQ_CONFIG HQQ_REPORT HQQ_LOG HQQ_DISABLE
trap '[ -z "$pid" ] || kill -KILL $pid; rm -rf "$scratch"' EXIT

# refuses STATUS WORD ARGUMENT...: that status, and one line on stderr that has the word
refuses() {
    local expected=$1 word=$2
    shift 2
    runs "$expected" "$@"
    check "one line: $*" [ "$(wc -l <"$err")" -eq 1 ]
    check "says '$word': $*" grep -qF -e "$word" "$err"
    check "prints nothing else: $*" [ ! -s "$out" ]
}

# begin WHAT: a process $pid with counters, until end
begin() {
    mkfifo "$scratch/in"
    : >"$said"
    "$fill" "$1" <"$scratch/in" >"$said" &
    pid=$!
    exec 3>"$scratch/in"
    rm "$scratch/in"
    until grep -q ready "$said"; do kill -0 $pid || break; done
}

end() {
    exec 3>&-
    wait $pid
    pid=
}

help_names_every_option() {
    runs 0 --help
    for option in pid interval count all json log explain help version; do
        check "help has --$option" grep -qE -e "^ +(-[a-zA-Z], |  +)?--$option" "$out"
    done
    runs 0 --version
    check "version has a number" grep -qE 'hqqstat [0-9]+\.[0-9]+\.[0-9]+, library [0-9]' "$out"
}

bad_options_are_named() {
    refuses 2 --pid -p 0
    refuses 2 --pid -p me
    refuses 2 --interval -i 0
    refuses 2 --interval -i nan
    refuses 2 --count -n -1
    refuses 2 --log -p 1 --log loud
    refuses 2 --pid --log debug
    refuses 2 "'argument'" argument
    runs 2 --unknown
}

every_column_is_explained() {
    begin wait
    runs 0 -p $pid
    local titles
    titles=$(head -n 1 "$out")
    runs 0 --explain
    for title in $titles; do
        check "explains $title" grep -qE "^$title +[a-z@]" "$out"
    done
    end
}

sockets_are_shown() {
    begin wait
    runs 0 -p $pid
    check "the accelerated one" grep -qE " $pid +5 ring +1 +900 +100 +0 +0 +90\.0 +3 +2 +8 +6 +7  /run/test/a\.sock to @metrics$" "$out"
    check "the other one, escaped" grep -qF ' /tmp/\x1b[31mred\x0a\xff\x5c' "$out"
    check "why" grep -q 'by the kernel: .*other end does not use HQQ' "$out"
    check "no closed one" [ "$(grep -c /run/test/closed "$out")" -eq 0 ]
    runs 0 -p $pid --all
    check "the closed one" grep -qE ' 7 closed .* /run/test/closed$' "$out"
    runs 0
    check "among all processes" grep -qE " $pid +5 ring " "$out"
    check "quietly" [ ! -s "$err" ]
    end
}

rates_are_of_a_second() {
    begin grow
    runs 0 -p $pid -i 0.2 -n 2
    check "two tables" [ "$(grep -c '^command ' "$out")" -eq 2 ]
    check "grows" [ "$(awk '$2 == '$pid' && $3 == 5 && $6 > 1000' "$out" | wc -l)" -eq 2 ]
    check "does not show totals" [ "$(awk '$2 == '$pid' && $3 == 5 && $7 != 0' "$out" | wc -l)" -eq 0 ]
    end
}

json_can_be_read() {
    begin grow
    runs 0 -p $pid --json
    if python3 -c '' 2>/dev/null; then
        check "JSON" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
assert report["processes"][0]["pid"] == int(sys.argv[2])
sockets = report["processes"][0]["sockets"]
assert sockets[1]["bound"].startswith("/tmp/")
assert [sockets[0][name] for name in ("withdrawn", "resent", "trials", "suspended")] == [3, 4, 2, 1]' "$out" $pid
        runs 0 -p $pid --json -i 0.1 -n 1
        check "JSON of rates" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
assert report["rates"][0]["sent_ring"] > 0 and 0.05 < report["seconds"] < 5' "$out"
    fi
    end
}

log_level_is_set() {
    begin level
    runs 0 -p $pid --log debug
    end
    check "level is debug" grep -qx debug "$said"
}

children_of_a_fork_are_not_shown_twice() {
    begin child
    local child
    until child=$(grep '^[0-9]' "$said"); do kill -0 $pid || break; done
    runs 0
    check "the parent once" [ "$(grep -cE " $pid +5 " "$out")" -eq 1 ]
    check "no child" [ "$(grep -cE " $child +5 " "$out")" -eq 0 ]
    refuses 1 'no counters' -p "$child"
    end
}

hostile_memory_does_no_harm() {
    begin hostile
    for options in '' --all --json '--json --all' '-i 0.05 -n 1'; do
        # shellcheck disable=SC2086 # words are wanted
        runs 0 $options
        check "nothing but text: $options" [ "$(tr -d '\n\t -~' <"$out" | wc -c)" -eq 0 ]
    done
    runs 0 -p $pid
    check "is shown" grep -q 'unknown reason' "$out"
    end
}

what_is_not_there_is_told() {
    refuses 1 'no counters' -p $$
    sleep 0 &
    local gone=$!
    wait $gone
    refuses 1 'No such process' -p $gone
    begin wait
    local ended=$pid
    : >"$out"
    (
        for ((i = 0; i < 400; i++)); do # it looks, again and again
            [ ! -s "$out" ] || break
            sleep 0.05
        done
        kill -KILL $ended
    ) &
    runs 0 -p $pid -i 0.2
    check "quietly ends with the process" [ ! -s "$err" ]
    wait $pid 2>/dev/null
    pid=
    exec 3>&-
    if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
        begin wait
        setpriv --reuid 12345 --regid 12345 --clear-groups "$tool" -p $pid >"$out" 2>"$err"
        check "another user may not" grep -q 'Permission denied' "$err"
        setpriv --reuid 12345 --regid 12345 --clear-groups "$tool" >"$out" 2>"$err"
        check "and is not bothered" [ $? -eq 0 -a ! -s "$err" ]
        end
    fi
}

help_names_every_option
bad_options_are_named
every_column_is_explained
sockets_are_shown
rates_are_of_a_second
json_can_be_read
log_level_is_set
children_of_a_fork_are_not_shown_twice
hostile_memory_does_no_harm
what_is_not_there_is_told
exit $failed
