#!/usr/bin/env bash
# install.sh FOLDER: installs there, with npm, the packages that package-lock.json names, unless they are there already.
# The one with a native part is compiled with the headers that came with node.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PATH=/usr/bin:/bin:$PATH
mkdir -p "$1"
cd "$1"
if ! cmp -s "$here/package-lock.json" package-lock.json || [ ! -e installed ]; then
    cp "$here/package.json" "$here/package-lock.json" .
    node=$(readlink -f "$(command -v node)")
    npm_config_nodedir=$(dirname "$(dirname "$node")") npm ci --no-audit --no-fund --loglevel=error
    touch installed
fi
node -e 'require("unix-dgram").createSocket("unix_dgram").close()'
