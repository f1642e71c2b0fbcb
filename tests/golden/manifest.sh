#!/usr/bin/env bash
# manifest.sh: the images of this folder are those of manifest.json, byte for byte, and each is named by a test. An image
# that was changed, lost or forgotten would weaken the tests that compare with it, and they could not tell.
set -eu
cd "$(dirname "$0")"
failed=0

report() {
    echo "tests/golden/$1"
    failed=1
}

count=0
while read -r name size sum; do
    count=$((count + 1))
    file=$name.bin.gz
    [ -f "$file" ] || { report "manifest.json:1: there is no $file" && continue; }
    [ "$(gzip -dc "$file" | wc -c)" = "$size" ] || report "$file:1: not $size bytes"
    [ "$(gzip -dc "$file" | sha256sum | cut -d ' ' -f 1)" = "$sum" ] || report "$file:1: another SHA-256 than in manifest.json"
    grep -qF "\"$name\"" ./*.c || report "$file:1: no test names it"
done < <(sed -nE 's/^ *"Name": "([a-z-]+)",/\1/; t name; s/^ *"Size": ([0-9]+),/\1/; t size; s/^ *"Sha256": "([0-9a-f]{64})",?/\1/; t sum; d
    :name; h; d; :size; H; d; :sum; H; x; s/\n/ /g; p' manifest.json)

[ "$count" -eq "$(find . -name '*.bin.gz' | wc -l)" ] || report "manifest.json:1: $count images, but others stand beside it"
[ "$count" -gt 0 ] || report "manifest.json:1: no image found"
exit $failed
