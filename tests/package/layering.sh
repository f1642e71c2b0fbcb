#!/usr/bin/env bash
# layering.sh ROOT: a file of src/LAYER, or of preload, includes headers of its own folder and of lower layers only, by
# "layer/name.h"; units (a .c and a .h of one name) of one folder do not include one another in a circle; and
# base/atomic.h alone includes <stdatomic.h>. A layer's folder may be missing. Relies on awk.
set -u
cd "$1" || exit 1
layers="base platform layout ring standard advanced runtime channel endpoint hqqsock socket"
top="preload tools" # above all layers, and not of one another

failed=0
report() {
    echo "$1"
    failed=1
}

for folder in src/*/; do
    name=$(basename "$folder")
    [ "$name" != man ] || continue
    [[ " $layers tools " == *" $name "* ]] || report "$folder:1: not a layer: $layers tools"
done

folders=$(ls -d src/*/ preload/ 2>/dev/null)
# shellcheck disable=SC2086 # a word for each folder
grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $folders --include='*.[ch]' |
    awk -F: -v layers="$layers" -v top="$top" -v allowed="${circles_allowed:-}" '
    function report(text) { print text; failed = 1 }

    # layer_of(PATH): the folder of src, or preload
    function layer_of(path) { sub(/^src\//, "", path); sub(/\/.*/, "", path); return path }

    # unit_of(PATH): layer and name without the ending
    function unit_of(path) { sub(/^src\//, "", path); sub(/\.[ch]$/, "", path); return path }

    BEGIN {
        count = split(layers, names, " ")
        for (i = 1; i <= count; i++) height[names[i]] = i
        summits = split(top, names, " ")
        for (i = 1; i <= summits; i++) height[names[i]] = count + 1
    }
    {
        file = $1; line = $2; included = $0
        sub(/^[^"]*"/, "", included); sub(/".*/, "", included)
        own = layer_of(file); theirs = layer_of(included); place = file ":" line ": \"" included "\""
        if (included !~ /\//)
            report(place ": say \"" own "/" included "\"")
        else if (!(theirs in height))
            report(place " is of no layer")
        else if (theirs != own && height[theirs] >= height[own])
            report(place " is above " own)
        else if (theirs == own && unit_of(file) != unit_of(included)) {
            from = unit_of(file); to = unit_of(included)
            if (!((from, to) in edge)) where[from, to] = place
            edge[from, to] = reaches[from, to] = 1
            unit[from] = unit[to] = own
        }
    }
    END {
        for (k in unit) # which unit includes which, over however many others of its folder
            for (i in unit)
                if ((i, k) in reaches)
                    for (j in unit)
                        if ((k, j) in reaches) reaches[i, j] = 1
        for (pair in edge) {
            split(pair, ends, SUBSEP)
            if (((ends[2], ends[1]) in reaches) && unit[ends[1]] != allowed)
                report(where[pair] " closes a circle: " ends[2] " includes " ends[1] ", by way of others perhaps")
        }
        exit failed
    }' || failed=1

while IFS=: read -r file line _; do
    [ "$file" = src/base/atomic.h ] || report "$file:$line: <stdatomic.h> is included by base/atomic.h only"
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]stdatomic\.h' include src preload --include='*.[ch]')

exit $failed
