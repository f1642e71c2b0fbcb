# What the tests of the tools share; to be sourced, with $tool set: a scratch folder, and the last run's output.
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
out=$scratch/out
err=$scratch/err
failed=0

# check WHAT COMMAND...: reports what was run last if the command fails
check() {
    local what=$1
    shift
    "$@" && return
    echo "failed: $what"
    sed 's/^/    out: /' "$out"
    sed 's/^/    err: /' "$err"
    failed=1
}

# runs STATUS ARGUMENT...: the tool exits with that status
runs() {
    local expected=$1 status
    shift
    "$tool" "$@" >"$out" 2>"$err"
    status=$?
    check "$(basename "$tool") $*: status $status, not $expected" [ "$status" -eq "$expected" ]
}
