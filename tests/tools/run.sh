#!/usr/bin/env bash
# run.sh RUN PRELOADED FILL_COUNTERS: hqq-run does what its help says. PRELOADED is the library of preloaded.c,
# FILL_COUNTERS the program of fill_counters.c.
set -u
tool=$1
preloaded=$2
fill=$3
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
unset HQQ_PATHS HQQ_CONFIG HQQ_REPORT HQQ_LOG HQQ_DISABLE HQQ_PRELOAD_LIBRARY
# A sanitizer's own library wants to be loaded first, which a preload never lets it.
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0
unset LD_PRELOAD

# with STATUS ARGUMENT...: the same, with the library and a path
with() {
    local expected=$1
    shift
    runs "$expected" --library "$preloaded" -p '/run/test/*' "$@"
}

# refuses STATUS WORD ARGUMENT...: that status, and one line on stderr that has the word
refuses() {
    local expected=$1 word=$2
    shift 2
    runs "$expected" "$@"
    check "one line: $*" [ "$(wc -l <"$err")" -eq 1 ]
    check "says '$word': $*" grep -qF -e "$word" "$err"
    check "begins with its name: $*" grep -q '^hqq-run: ' "$err"
    check "prints nothing else: $*" [ ! -s "$out" ]
}

# script NAME LINE...: an executable file
script() {
    local name=$1
    shift
    printf '%s\n' "$@" >"$scratch/$name"
    chmod +x "$scratch/$name"
}

help_names_every_option() {
    runs 0 --help
    for option in path config spin-us link-after polling log library dry-run report json help version; do
        check "help has --$option" grep -qE -e "^ +(-[a-zA-Z], |  +)?--$option" "$out"
    done
    runs 0 --version
    check "version has a number" grep -qE 'hqq-run [0-9]+\.[0-9]+\.[0-9]+, library [0-9]' "$out"
}

bad_options_are_named() {
    refuses 125 --spin-us -p x --spin-us fast true
    refuses 125 --spin-us -p x --spin-us 1000001 true
    refuses 125 --link-after -p x --link-after -1 true
    refuses 125 --polling -p x --polling sometimes true
    refuses 125 --log -p x --log loud true
    refuses 125 --config --config "$scratch/missing" true
    refuses 125 --path -p '' true
    refuses 125 'no command' -p x
    refuses 125 'no command' -p x --
    refuses 125 --library --library "$scratch/missing" -p x true
    refuses 125 'not a shared library' --library "$0" -p x true
    refuses 125 --report --library "$preloaded" -p x --report="$scratch/missing/file" true
    runs 125 --unknown
    check "names --unknown" grep -q -e --unknown "$err"
    [ -e /etc/hqq.conf ] || refuses 125 'no path' true
    cp "$preloaded" "$scratch/with space.so"
    refuses 125 'space' --library "$scratch/with space.so" -p x true
}

environment_is_as_asked_for() {
    : >"$scratch/hqq.conf"
    (
        cd "$scratch" || exit 1
        with 0 -p '@metrics*' --config hqq.conf --spin-us 7 --link-after 9 --polling never --log info env
    )
    check "is preloaded" grep -qx 'HQQ_TEST_PRELOADED=yes' "$out"
    check "LD_PRELOAD" grep -qx "LD_PRELOAD=$(realpath "$preloaded")" "$out"
    check "HQQ_PATHS" grep -qxF 'HQQ_PATHS=/run/test/*:@metrics*' "$out"
    check "HQQ_CONFIG is absolute" grep -qx "HQQ_CONFIG=$(realpath "$scratch")/hqq.conf" "$out"
    check "HQQ_SPIN_US" grep -qx 'HQQ_SPIN_US=7' "$out"
    check "HQQ_LINK_AFTER" grep -qx 'HQQ_LINK_AFTER=9' "$out"
    check "HQQ_POLLING" grep -qx 'HQQ_POLLING=never' "$out"
    check "HQQ_LOG" grep -qx 'HQQ_LOG=info' "$out"
    check "no HQQ_REPORT" [ "$(grep -c HQQ_REPORT "$out")" -eq 0 ]
    LD_PRELOAD=libc.so.6 with 0 env
    check "what was preloaded before stays" grep -qx "LD_PRELOAD=$(realpath "$preloaded"):libc.so.6" "$out"
    HQQ_PRELOAD_LIBRARY=$preloaded runs 0 -p x env
    check "HQQ_PRELOAD_LIBRARY" grep -qx 'HQQ_TEST_PRELOADED=yes' "$out"
    HQQ_PATHS=/from/outside runs 0 --library "$preloaded" env
    check "HQQ_PATHS of the environment will do" grep -qx 'HQQ_PATHS=/from/outside' "$out"
}

command_is_run_as_without() {
    # shellcheck disable=SC2016 # for the inner shell
    with 0 sh -c 'printf "<%s>" "$0" "$@"; cat' 'a b' '' -- -p '*' <<<input
    check "arguments and input" [ "$(cat "$out")" = '<a b><><--><-p><*>input' ]
    with 3 -- sh -c 'exit 3'
    with 255 sh -c 'exit 255'
    check "killed by the same signal" [ "$("$tool" --library "$preloaded" -p x sh -c 'kill -TERM $$' 2>/dev/null; echo $?)" -eq 143 ]
    "$tool" --library "$preloaded" -p x sleep 100 &
    local pid=$!
    until grep -qx sleep "/proc/$pid/comm"; do :; done
    kill -HUP $pid
    wait $pid
    check "is the command itself" [ $? -eq 129 ]
    script by_name '#!/bin/sh' 'echo "$0"'
    PATH=$scratch:$PATH with 0 by_name
    check "found by PATH" [ "$(cat "$out")" = "$scratch/by_name" ]
    script no_head 'echo "plain $HQQ_TEST_PRELOADED"'
    with 0 "$scratch/no_head"
    check "a text without #! is the shell's" [ "$(cat "$out")" = 'plain yes' ]
}

what_cannot_work_is_refused() {
    local options=(--library "$preloaded" -p x)
    refuses 127 'no_such_command: command not found' "${options[@]}" no_such_command
    refuses 127 'No such file' "${options[@]}" "$scratch/missing"
    refuses 127 'command not found' "${options[@]}" ''
    refuses 126 'Is a directory' "${options[@]}" "$scratch"
    : >"$scratch/plain"
    refuses 126 'Permission denied' "${options[@]}" "$scratch/plain"
    PATH=$scratch:$PATH refuses 126 'Permission denied' "${options[@]}" plain
    printf 'MZ\0\0' >"$scratch/binary"
    chmod +x "$scratch/binary"
    refuses 126 'neither' "${options[@]}" "$scratch/binary"
    head -c 20 "$(command -v env)" >"$scratch/short"
    chmod +x "$scratch/short"
    refuses 126 'Exec format' "${options[@]}" "$scratch/short"
    script lost "#!$scratch/missing -x"
    refuses 127 "its interpreter $scratch/missing: No such file" "${options[@]}" "$scratch/lost"
    script loop "#!$scratch/loop"
    refuses 126 'too many' "${options[@]}" "$scratch/loop"

    # The 19th byte of an ELF file is the processor's number.
    cp "$(command -v env)" "$scratch/foreign"
    printf '\024\0' | dd of="$scratch/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null
    refuses 126 'another processor' "${options[@]}" "$scratch/foreign"
    cp "$(command -v env)" "$scratch/narrow"
    printf '\001' | dd of="$scratch/narrow" bs=1 seek=4 conv=notrunc 2>/dev/null
    refuses 126 'word size' "${options[@]}" "$scratch/narrow"

    echo 'int main(void) { return 0; }' >"$scratch/main.c"
    if ${CC:-cc} -static "$scratch/main.c" -o "$scratch/static" 2>/dev/null; then
        refuses 126 'statically linked' "${options[@]}" "$scratch/static"
        script by_static "#!$scratch/static"
        refuses 126 'statically linked' "${options[@]}" "$scratch/by_static"
    fi
    if ${CC:-cc} "$scratch/main.c" -o "$scratch/musl" -Wl,--dynamic-linker=/lib/ld-musl-test.so.1 2>/dev/null; then
        refuses 126 'musl' "${options[@]}" "$scratch/musl"
    fi
    if ${CC:-cc} "$scratch/main.c" -o "$scratch/loader" -Wl,--dynamic-linker=/missing/ld.so 2>/dev/null; then
        refuses 127 'its loader /missing/ld.so' "${options[@]}" "$scratch/loader"
    fi
    echo '__attribute__((section(".note.go.buildid"))) const int id = 1; int main(void) { return 0; }' >"$scratch/go.c"
    if ${CC:-cc} "$scratch/go.c" -o "$scratch/go" 2>/dev/null; then
        refuses 126 'Go program' "${options[@]}" "$scratch/go"
        strip "$scratch/go" 2>/dev/null
        refuses 126 'Go program' "${options[@]}" "$scratch/go"
    fi
    privileged_is_refused "${options[@]}"
}

# Where this user may make such files, and they have an effect.
privileged_is_refused() {
    cp "$(command -v env)" "$scratch/setuid"
    if chown 12345:12345 "$scratch/setuid" 2>/dev/null && ! grep -q 'NoNewPrivs:.*1' /proc/self/status; then
        chmod 4755 "$scratch/setuid"
        refuses 126 'set-user-ID' "$@" "$scratch/setuid"
        chmod 2755 "$scratch/setuid"
        refuses 126 'set-group-ID' "$@" "$scratch/setuid"
    fi
    cp "$(command -v env)" "$scratch/own"
    chmod 4755 "$scratch/own"
    with 0 "$scratch/own"
    check "one's own set-user-ID program gives nothing" grep -qx 'HQQ_TEST_PRELOADED=yes' "$out"
}

dry_run_explains() {
    with 0 --dry-run -p '@x' false
    check "says what" grep -qE '^command +/.*/false$' "$out"
    check "says how" grep -qxF "environment  HQQ_PATHS=/run/test/*:@x" "$out"
    check "says that it works" grep -q '^result .*can be run' "$out"
    with 1 --dry-run no_such_command
    check "says that it does not" grep -q '^result .*cannot be run.*command not found' "$out"
    script by_shell '#!/bin/sh' "touch $scratch/was_run"
    with 0 --dry-run "$scratch/by_shell"
    check "names the interpreter" grep -qE '^run by +/bin/sh' "$out"
    check "runs nothing" [ ! -e "$scratch/was_run" ]
}

report_has_every_socket() {
    with 4 --report "$fill" exit 4
    check "the accelerated one" grep -qE ' 5 +900 +100 +0 +0 +90\.0 +3 +7 +6 +/run/test/a\.sock to @metrics$' "$err"
    check "the other one, escaped" grep -qF ' /tmp/\x1b[31mred\x0a\xff\x5c' "$err"
    check "why" grep -q 'by the kernel: .*other end does not use HQQ' "$err"
    check "the closed one" grep -q ' /run/test/closed$' "$err"
    check "one process" grep -qx 'hqq-run: 1 process' "$err"
    check "nothing else on its output" [ ! -s "$out" ]
    with 0 --report="$scratch/report" sh -c "'$fill' exit 1; '$fill' exit 2; exec '$fill' exit 0"
    check "every process" grep -qx 'hqq-run: 3 processes' "$scratch/report"
    check "stderr is the command's" [ ! -s "$err" ]
    with 0 --report true
    check "says that there is nothing" grep -q 'no process reported' "$err"
    TMPDIR=$scratch with 0 --report "$fill" exit 0
    check "leaves no folder" [ -z "$(find "$scratch" -name 'hqq-run.*')" ]
    TMPDIR=$scratch/missing runs 125 --library "$preloaded" -p x --report true
    check "says that there is no folder" grep -q 'no folder' "$err"
}

report_can_be_json() {
    with 0 --json "$fill" exit 0
    python3 -c '' 2>/dev/null || return
    check "JSON can be read" python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
sockets = report["processes"][0]["sockets"]
assert [socket["fd"] for socket in sockets] == [5, 6, 7]
assert sockets[0]["sent_ring"] == 900 and sockets[0]["peer"] == "@metrics"
assert [sockets[0][name] for name in ("withdrawn", "resent", "trials", "suspended")] == [3, 4, 2, 1]
assert sockets[1]["reason_text"] and sockets[2]["state"] == "closed"' "$err"
}

with_a_report_the_end_is_the_command_s() {
    with 0 --report sh -c 'exit 0'
    with 77 --report sh -c 'exit 77'
    for signal in TERM KILL SEGV HUP; do
        with $((128 + $(kill -l $signal))) --report "$fill" kill "$(kill -l $signal)"
        check "$signal: the report comes all the same" grep -q '1 process' "$err"
    done
    # A signal that is sent to hqq-run alone is the command's.
    mkfifo "$scratch/in"
    "$tool" --library "$preloaded" -p x --report "$fill" wait <"$scratch/in" >"$out" 2>"$err" &
    local pid=$!
    exec 3>"$scratch/in"
    until grep -q ready "$out"; do :; done
    kill -USR1 $pid
    until grep -q usr1 "$out"; do kill -0 $pid 2>/dev/null || break; done
    check "USR1 is passed on" grep -q usr1 "$out"
    kill -TERM $pid
    wait $pid
    check "TERM is passed on" [ $? -eq 143 ]
    exec 3>&-
    check "the report comes after TERM" grep -q '1 process' "$err"
}

help_names_every_option
bad_options_are_named
environment_is_as_asked_for
command_is_run_as_without
what_cannot_work_is_refused
dry_run_explains
report_has_every_socket
report_can_be_json
with_a_report_the_end_is_the_command_s
exit $failed
