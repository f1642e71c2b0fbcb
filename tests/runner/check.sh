#!/usr/bin/env bash
# check.sh: run.py tells what passed, what failed and what was skipped, and why, and its exit status is that of the
# worst; on a small project with two presets.
set -eu
runner=$(cd "$(dirname "$0")" && pwd)/run.py
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
cat >CMakeLists.txt <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(small NONE)
enable_testing()
add_test(NAME good COMMAND true)
add_test(NAME static/good COMMAND true)
add_test(NAME bad COMMAND sh -c "echo this is why && exit 1")
add_test(NAME static/bad COMMAND sh -c "echo and this && exit 1")
add_test(NAME gone COMMAND ./there-is-no-such-program)
add_test(NAME missing COMMAND sh -c "echo skipped: nothing to test with && exit 77")
set_tests_properties(missing PROPERTIES SKIP_RETURN_CODE 77 LABELS any)
set_tests_properties(static/good static/bad PROPERTIES LABELS static)
add_custom_target(broken ${maybe_all} COMMAND sh -c "exit ${broken}")
TEXT
cat >CMakePresets.json <<'TEXT'
{
  "version": 6,
  "configurePresets": [
    { "name": "one", "generator": "Ninja", "binaryDir": "${sourceDir}/build/one" },
    { "name": "two", "generator": "Ninja", "binaryDir": "${sourceDir}/build/two",
      "cacheVariables": { "maybe_all": "ALL", "broken": "1" } }
  ],
  "buildPresets": [ { "name": "one", "configurePreset": "one" }, { "name": "two", "configurePreset": "two" } ],
  "testPresets": [ { "name": "one", "configurePreset": "one" }, { "name": "two", "configurePreset": "two" } ]
}
TEXT

# ends STATUS LAST_LINE ARGUMENT...: the runner ends so; its output is left in "out"
ends() {
    local expected=$1 line=$2 status=0
    shift 2
    python3 "$runner" "$scratch" "$@" >out 2>&1 || status=$?
    if [ "$status" -ne "$expected" ] || [ "$(tail -n 1 out)" != "$line" ]; then
        cat out
        echo "run.py $*: expected status $expected and at the end: $line; status was $status"
        exit 1
    fi
}

# says TEXT...: each is in the output
says() {
    for text; do
        grep -qF -e "$text" out || { cat out && echo "expected to read: $text" && exit 1; }
    done
}

ends 0 "2 passed, 0 failed" one -R good
ends 0 "0 passed, 0 failed, 1 skipped" one -L any
says "one: missing: nothing to test with"
ends 1 "2 passed, 3 failed, 1 skipped" one
says "failed in one: bad" "=== one: bad" "this is why" "and this" "one: gone" "one: static/bad"
ends 1 "3 passed, 8 failed, 1 skipped"
says "building two failed" "two: good" "two: bad"
ends 1 "0 passed, 1 failed" one -R nothing-has-this-name
ends 2 "run: error: no preset three: expected any of one, two" three
