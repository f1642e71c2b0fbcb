#!/usr/bin/env bash
# man_pages.sh ROOT: every function that the public headers export is named by a page of src/man, and every page of
# section 3 names only such functions; references between pages lead somewhere; hqq-perf.1 and
# hqq-perf-advanced.1 have the options of --help; groff has nothing to complain of.
set -u
export LC_ALL=C # sort and comm must agree
cd "$1" || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

report() {
    echo "$1"
    failed=1
}

# names PAGE: what its NAME section names, a line each
names() {
    sed -n '/^\.Nd /q; s/^\.Nm \([A-Za-z0-9_-]*\).*/\1/p' "$1"
}

# place WORD FILE...: file and line of its first use
place() {
    local word=$1
    shift
    grep -nwm 1 -- "$word" "$@" /dev/null | head -n 1 | cut -d: -f1,2
}

for header in include/hqq/*.h; do
    ${CC:-cc} -E -P -Iinclude "$header" | tr '\n' ' ' | sed 's/__attribute__((visibility("default")))/\n@EXPORT@/g'
done | sed -n 's/__attribute__ *(([^)]*))//g; s/^@EXPORT@\([^(;]*\)(.*/\1/p' | sed 's/ *$//; s/.*[ *]//' |
    sort -u >"$scratch/exported"
[ -s "$scratch/exported" ] || report "include/hqq: no exported function found"

for page in src/man/*.3; do
    names "$page"
done | sort >"$scratch/named"
for name in $(comm -23 "$scratch/exported" <(sort -u "$scratch/named")); do
    report "$(place "$name" include/hqq/*.h): $name is in the NAME section of no page of src/man"
done
for name in $(comm -13 "$scratch/exported" <(sort -u "$scratch/named")); do
    report "$(place "$name" src/man/*.3): $name is exported by no header"
done
for name in $(uniq -d "$scratch/named"); do
    report "$(place "$name" src/man/*.3): $name is named by two pages"
done

# Each page by its own file name too: hqq_link_deadline(3) is the name of a page, not of a function.
for page in src/man/*.[1-9]; do
    section=${page##*.}
    basename "$page"
    names "$page" | sed "s/\$/.$section/"
done | sort -u >"$scratch/pages"
while IFS=: read -r file line text; do
    read -r _ name section _ <<<"$text"
    grep -qxF "$name.$section" "$scratch/pages" || report "$file:$line: there is no page $name($section)"
done < <(grep -nE '^\.Xr hqq' src/man/*.[1-9])

for page in src/man/*.[1-9]; do
    grep -q "\b$(basename "$page" | sed 's/\./\\./')\b" src/man/CMakeLists.txt ||
        report "src/man/CMakeLists.txt:1: $page is not installed"
done

# compare_options HELP PAGE: both have the same options
compare_options() {
    local help=$1 page=$2 option
    grep -oE -- '--[a-z][a-z-]*' "$help" | sort -u >"$scratch/options"
    grep -oE -- 'Fl -[a-z][a-z-]*' "$page" | sed 's/Fl -/--/' | sort -u >"$scratch/documented"
    for option in $(comm -23 "$scratch/options" "$scratch/documented"); do
        report "$(place "$option" "$help"): $option is not in $page"
    done
    for option in $(comm -13 "$scratch/options" "$scratch/documented"); do
        report "$(place "Fl -${option#--}" "$page"): --help does not know $option"
    done
}
compare_options src/tools/perf/options_help.c src/man/hqq-perf.1
compare_options src/tools/advanced/options_help.c src/man/hqq-perf-advanced.1

if ! command -v groff >/dev/null; then
    echo "no groff here: the form of the pages was not checked"
    [ $failed -ne 0 ] || exit 77
    exit 1
fi
for page in src/man/*.[1-9]; do
    groff -ww -mandoc -Tutf8 -z "$page" 2>"$scratch/warnings" || failed=1
    [ ! -s "$scratch/warnings" ] || report "$(sed "s|^|$page:1: |" "$scratch/warnings")"
done
exit $failed
