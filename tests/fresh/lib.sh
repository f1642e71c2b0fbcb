# shellcheck shell=bash
# lib.sh: pristine Debian systems in folders, for the tests of this folder; each sources it. A system is what
# debootstrap calls minbase: apt and what nothing works without. It has the suite of this machine, or that of
# HQQ_TEST_FRESH_SUITE, from the registry that apt is configured for here, and apt's settings for reaching it.
#
# What is downloaded is kept in ${XDG_CACHE_HOME:-~/.cache}/hqq-fresh: a base system a day and suite, and packages,
# which are forgotten when a week has passed without a use. Nothing else of this machine is written to, or seen in the
# system: processes and mounts are in namespaces of their own, and so end with the shell that made them, however that
# ends.
set -eu
export LC_ALL=C
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hqq-fresh

if [ "$(id -u)" -ne 0 ]; then
    echo "skipped: only root can make a fresh system; to test it: sudo sh tests/run -L fresh"
    exit 77
fi
for tool in debootstrap apt-get unshare chroot git; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || { echo "skipped: no $tool here" && exit 77; }
done
export PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=/dev/null
suite=${HQQ_TEST_FRESH_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
mkdir -p "$cache"

fail() {
    echo "failed: $1"
    exit 1
}

# Writes a line "URI SUITE COMPONENT" for each of Debian's own indexes that apt is configured for here. For another
# suite the names are translated, which holds for the registries of Debian and for mirrors of them.
registry() {
    local running
    # shellcheck source=/dev/null
    running=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sed -E "s/ $running(-updates|-security)? / $suite\\1 /" | sort -u
}

# Settings of apt by which the registry is reached, and files that they may name.
copy_apt_settings() { # SYSTEM
    local system=$1 file
    registry | sed 's/^/deb /' >"$system/etc/apt/sources.list"
    [ -s "$system/etc/apt/sources.list" ] || fail "apt has no index of a Debian registry here"
    apt-config dump | grep -E '^Acquire::(https?(::|[[:space:]])|Check-|Retries|Allow|ForceIPv)' \
        >"$system/etc/apt/apt.conf.d/90registry" || true
    for file in auth.conf auth.conf.d keyrings trusted.gpg.d; do
        [ ! -e "/etc/apt/$file" ] || cp -rT "/etc/apt/$file" "$system/etc/apt/$file"
    done
    if grep -q 'https:' "$system/etc/apt/sources.list" "$system/etc/apt/apt.conf.d/90registry"; then
        mkdir -p "$system/etc/ssl/certs"
        cp -L /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs"
    fi
    cp -L /etc/resolv.conf /etc/hosts "$system/etc"
}

# make_base: the base system of today as a tarball, unless it is there. Prints nothing but how it went.
make_base() {
    local mirror base=$cache/base-$suite-$(date +%F).tar
    exec {lock}>"$cache/lock"
    flock "$lock"
    find "$cache" -maxdepth 1 -name 'system.*' -mtime +0 -exec rm -rf --one-file-system {} + # of tests that were killed
    if [ ! -e "$base" ]; then
        [ -n "$(registry)" ] || apt-get update -q
        # shellcheck disable=SC1083 # awk's
        mirror=$(registry | awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
        [ -n "$mirror" ] || fail "apt is configured for no registry of Debian here"
        echo "making a base system of $suite from $mirror"
        rm -rf "$cache/making"
        http_proxy=${http_proxy-$(apt-config shell p Acquire::http::Proxy | sed "s/^p='\(.*\)'$/\1/")}
        [ -z "$http_proxy" ] || export http_proxy
        unshare --mount --pid --fork --kill-child debootstrap --variant=minbase "$suite" "$cache/making" "$mirror" \
            >"$cache/debootstrap.log" 2>&1 || { tail -n 30 "$cache/debootstrap.log" && fail "debootstrap"; }
        rm -rf "$cache/making/var/cache/apt/archives"/*.deb "$cache/base-$suite-"*.tar
        tar -C "$cache/making" -cf "$base.part" .
        mv "$base.part" "$base"
        rm -rf "$cache/making"
    fi
    exec {lock}>&-
    echo "base system: $base"
}

# make_system: unpacks the base to $system, with a clean clone for root and one for an ordinary user named "user". What
# is already downloaded is linked into it, and what is downloaded in it is kept.
make_system() {
    local base=$cache/base-$suite-$(date +%F).tar
    [ -e "$base" ] || make_base # midnight has passed
    system=$(mktemp -d "$cache/system.XXXXXX")
    trap remove_system EXIT
    trap 'exit 1' INT TERM HUP PIPE
    tar -C "$system" -xf "$base"
    copy_apt_settings "$system"
    echo 'force-unsafe-io' >"$system/etc/dpkg/dpkg.cfg.d/fresh" # the system is thrown away: it need not survive a crash
    echo "user:x:1000:1000::/home/user:/bin/sh" >>"$system/etc/passwd"
    echo "user:x:1000:" >>"$system/etc/group"
    echo "user:*:20000:0:99999:7:::" >>"$system/etc/shadow"
    mkdir -p "$system/home/user" "$cache/packages-$suite"
    find "$cache/packages-$suite" -name '*.deb' -ctime +7 -delete
    find "$cache/packages-$suite" -name '*.deb' -exec cp -lt "$system/var/cache/apt/archives" {} +
    [ -z "$(git -C "$source_folder" status --porcelain)" ] || echo "not in the clone: what is not committed"
    git clone -q "file://$source_folder" "$system/home/user/hqq"
    chown -R 1000:1000 "$system/home/user"
    cp -r "$system/home/user/hqq" "$system/root/hqq"
}

remove_system() {
    trap '' INT TERM HUP PIPE # else another signal ends this here
    # unshare blocks all signals but this one, by which its children end, too.
    [ -z "${child-}" ] || { kill -KILL "$child" && wait "$child"; } 2>/dev/null || true
    find "$system/var/cache/apt/archives" -maxdepth 1 -name '*.deb' -exec ln -ft "$cache/packages-$suite" {} + || true
    rm -rf --one-file-system "$system"
}

# inside USER COMMAND...: runs it in the system as that user, in the home folder's clone. What the command starts ends
# with it.
inside() {
    local as=$1 home=/root id=0:0 status
    shift
    [ "$as" = root ] || { home=/home/user && id=1000:1000; }
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --pid --fork --kill-child --mount-proc="$system/proc" sh -c '
        system=$1 id=$2 home=$3
        shift 3
        mount -t tmpfs tmpfs "$system/dev/shm"
        exec chroot --userspec="$id" --groups= "$system" /usr/bin/env -i HOME="$home" TERM=dumb \
            PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin ${http_proxy:+http_proxy="$http_proxy"} \
            sh -c "cd \"\$HOME/hqq\" && exec \"\$@\"" sh "$@"' sh "$system" "$id" "$home" "$@" </dev/null &
    child=$! # in the background, as a trap does not run while bash waits for a command
    status=0
    wait "$child" || status=$?
    child=
    return "$status"
}

# allow_sudo: from now on the ordinary user may do anything by sudo, without a password.
allow_sudo() {
    echo 'APT::Get::Assume-Yes "true";' >"$system/etc/apt/apt.conf.d/90answers" # what a person types
    inside root apt-get update -q >/dev/null
    inside root apt-get install -q --no-install-recommends sudo >/dev/null 2>&1
    printf 'user ALL=(ALL) NOPASSWD: ALL\n' >"$system/etc/sudoers.d/user"
    chmod 440 "$system/etc/sudoers.d/user"
}

# asks_for_packages COMMAND...: as a user who may not install, it fails with one sentence that lists the packages.
asks_for_packages() {
    local out
    ! out=$(inside user "$@" 2>&1) || fail "$*: expected a failure"
    echo "user: $*: $out"
    [ "$(wc -l <<<"$out")" -eq 1 ] || fail "$*: expected one line"
    grep -qE '^This user may not install packages; please ask .* for: .*cmake .*libtalloc-dev' <<<"$out" ||
        fail "$*: expected a sentence that lists packages"
}

# tests_run USER ARGUMENT...: tests/run with these ends well, and its last line says that all of some tests passed.
tests_run() {
    local as=$1 out=$system/tests.out
    shift
    inside "$as" sh tests/run "$@" >"$out" 2>&1 || { cat "$out" && fail "tests/run of $as"; }
    cat "$out"
    tail -n 1 "$out" | grep -qE '^[1-9][0-9]* passed, 0 failed' || fail "tests/run of $as: expected tests that passed"
}

# demo_runs USER [ARGUMENT]: it ends well, and its table has a line for each pair, with times, ratio and share, in 80
# columns.
demo_runs() {
    local as=$1 out=$system/demo.out pair
    shift
    inside "$as" sh examples/demo "$@" >"$out" 2>&1 || { cat "$out" && fail "the demo of $as"; }
    cat "$out"
    for pair in "chronyc asks chronyd" "a Python loop asks another" "a Python loop sends to another" \
        "logger sends lines to rsyslogd" "socat sends a file to socat"; do
        grep -qE "^$pair +[0-9]+\.[0-9]+ us +[0-9]+\.[0-9]+ us +[0-9.]+ \([0-9.]+-[0-9.]+\) +[0-9.]+%\$" "$out" ||
            fail "the demo's table has no line of: $pair"
        grep -m 1 -A 1 "^$pair  " "$out" | tail -n 1 | grep -qE '^    (all by the ring|[0-9,]+ by the kernel: .)' ||
            fail "the demo's table gives no reason at: $pair"
    done
    awk 'length > 80 { print; long = 1 } END { exit long }' <(sed '1,/^  5 of 5/d' "$out") ||
        fail "the demo's table is wider than 80 columns"
}
