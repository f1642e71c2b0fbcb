#!/usr/bin/env bash
# layering.sh ROOT: a file of src/LAYER includes headers of its own and of lower layers only, by "layer/name.h", and
# base/atomic.h alone includes <stdatomic.h>.
set -u
cd "$1" || exit 1
layers=(base platform layout ring standard advanced socket tools)
failed=0

report() {
    echo "$1"
    failed=1
}

# height NAME: its place in the order, or nothing
height() {
    local i
    for i in "${!layers[@]}"; do
        [ "${layers[$i]}" != "$1" ] || echo "$i"
    done
}

for folder in src/*/; do
    [ "$folder" != src/man/ ] || continue
    [ -n "$(height "$(basename "$folder")")" ] || report "$folder:1: not a layer: ${layers[*]}"
done

while IFS=: read -r file line text; do
    included=${text#*\"}
    included=${included%%\"*}
    own=$(cut -d/ -f2 <<<"$file")
    if [[ $included != */* ]]; then
        report "$file:$line: \"$included\": say \"$own/$included\""
        continue
    fi
    theirs=$(height "${included%%/*}")
    if [ -z "$theirs" ]; then
        report "$file:$line: \"$included\" is of no layer"
    elif [ "$theirs" -gt "$(height "$own")" ]; then
        report "$file:$line: \"$included\" is above $own"
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src/*/ --include='*.[ch]')

while IFS=: read -r file line _; do
    [ "$file" = src/base/atomic.h ] || report "$file:$line: <stdatomic.h> is included by base/atomic.h only"
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]stdatomic\.h' include src --include='*.[ch]')

exit $failed
