#!/usr/bin/env bash
# install.sh: on a fresh system a user with sudo sees the demo to its end; then root installs the library as README.md
# says, and its snippets do what they are there for, compiled and run as they stand.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
printf 'user ALL=(ALL) NOPASSWD: ALL\n' >"$system/etc/sudoers-user"
echo 'APT::Get::Assume-Yes "true";' >"$system/etc/apt/apt.conf.d/90answers" # what a person types
inside root apt-get update -q >/dev/null
inside root apt-get install -q --no-install-recommends sudo >/dev/null 2>&1
mv "$system/etc/sudoers-user" "$system/etc/sudoers.d/user"
chmod 440 "$system/etc/sudoers.d/user"
demo_runs user 1

snippets=$system/root/snippets
mkdir "$snippets"
cp "$source_folder"/tests/fresh/snippets/* "$snippets"
python3 "$source_folder/tests/fresh/snippets.py" "$system/root/hqq/README.md" "$snippets"
inside root sh -e ../snippets/install.sh || fail "installing as README.md says"
inside root sh -e ../snippets/run_all || fail "a snippet of README.md"
