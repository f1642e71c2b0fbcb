#!/usr/bin/env bash
# symbols.sh ROOT LIBRARY: the functions marked HQQ_EXPORT in the public headers, those of the version map and those
# that LIBRARY exports are the same ones.
set -u
export LC_ALL=C # sort and join must agree
library=$(realpath "$2")
cd "$1" || exit 1
map=src/libhqq.map
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# without_comments FILE: the same lines without what stands in comments
without_comments() {
    awk '{
        out = ""
        while (length($0)) {
            if (inside) {
                at = index($0, "*/")
                if (!at) break
                $0 = substr($0, at + 2); inside = 0
            } else {
                at = index($0, "/*")
                if (!at) { out = out $0; break }
                out = out substr($0, 1, at - 1); $0 = substr($0, at + 2); inside = 1
            }
        }
        print out
    }' "$1"
}

# Each of the three lists has lines "name place", sorted by name.
for header in include/hqq/*.h; do
    without_comments "$header" | awk -v file="$header" '
        /^[[:space:]]*#/ { next }
        /HQQ_EXPORT/ && declaration == "" { start = FNR; declaration = " " }
        declaration != "" { declaration = declaration $0 " " }
        declaration != "" && /;/ {
            match(declaration, /[A-Za-z_][A-Za-z0-9_]*\(/)
            print substr(declaration, RSTART, RLENGTH - 1), file ":" start
            declaration = ""; next
        }
        declaration == "" && /^[a-z].*hqq_[a-z0-9_]+\(/ && !/^(typedef|static) / {
            print file ":" FNR ": a function without HQQ_EXPORT" > "/dev/stderr"
        }'
done 2>"$scratch/unmarked" | sort >"$scratch/headers"
without_comments $map | awk -v file=$map '
    /global:/ { global = 1; next }
    /local:/ { global = 0 }
    global && /[a-z]/ { gsub(/[[:space:];]/, ""); print $0, file ":" FNR }' | sort >"$scratch/map"
nm -D --defined-only "$library" | awk -v file="$library" '
    $2 != "A" { name = $3; sub(/@.*/, "", name); print name, file, $2, $3 }' | sort >"$scratch/library"

if [ -s "$scratch/unmarked" ]; then
    cat "$scratch/unmarked"
    failed=1
fi

# only_in A B TEXT: complains of the names of list A that list B lacks
only_in() {
    local name place
    while read -r name place _; do
        echo "$place: $name $3"
        failed=1
    done < <(join -v 1 "$scratch/$1" "$scratch/$2")
}
only_in headers map "is marked HQQ_EXPORT, but $map does not name it"
only_in map headers "is not marked HQQ_EXPORT in any header"
only_in map library "is defined nowhere: $library does not export it"
only_in library map "is exported, but $map does not name it"

while read -r name place type versioned; do
    case $type$versioned in
    T*@@HQQ_*) ;;
    *)
        echo "$place: $versioned is not a function of a version node (type $type)"
        failed=1
        ;;
    esac
done <"$scratch/library"
[ -s "$scratch/headers" ] || failed=1
exit $failed
