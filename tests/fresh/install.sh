#!/usr/bin/env bash
# install.sh: on a fresh system a user with sudo sees the demo to its end; then root installs the library as README.md
# says, and its snippets do what they are there for, compiled and run as they stand.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_system
allow_sudo
demo_runs user 1

snippets=$system/root/snippets
mkdir "$snippets"
cp "$source_folder"/tests/fresh/snippets/* "$snippets"
python3 "$source_folder/tests/fresh/snippets.py" "$system/root/hqq/README.md" "$snippets"
inside root sh -e ../snippets/install.sh || fail "installing as README.md says"
inside root sh -e ../snippets/run_all || fail "a snippet of README.md"
