#!/usr/bin/env bash
# toplevel.sh ROOT: the top level holds what README.md says and no more.
set -u
cd "$1" || exit 1
allowed='^(include|src|preload|tests|examples|CMakeLists\.txt|CMakePresets\.json|PROTOCOL\.md|README\.md|LICENSE|CHANGELOG\.md|\..+)$'
if entries=$(git ls-files --cached --others --exclude-standard 2>/dev/null); then
    entries=$(cut -d/ -f1 <<<"$entries" | sort -u)
else
    entries=$(find . -mindepth 1 -maxdepth 1 ! -name build -printf '%f\n') # a copy that git does not know
fi
odd=$(grep -Ev "$allowed" <<<"$entries") || exit 0
while read -r entry; do
    echo "$entry:1: does not belong to the top level"
done <<<"$odd"
exit 1
