#!/usr/bin/env bash
# base.sh: the base system that the other tests of this folder unpack, from the registry, once a day.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
make_base
