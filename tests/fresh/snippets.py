"""snippets.py README FOLDER: writes the snippets of README.md into files of FOLDER, as they stand.

Each fenced block of shell, C or CMake is one of those below, and each of those is there once: a snippet that nobody
tries out is a failure.
"""

import re
import sys

# The name of a file, the language of its block, and a word that no other block of that language has. Those without a
# name are run by the other tests of this folder.
BLOCKS = (
    ("", "sh", "sh examples/demo"),
    ("", "sh", "sh tests/run"),
    ("run.sh", "sh", "hqq-run -p"),
    ("compile_ported.sh", "sh", "cc -include hqq/rename.h"),
    ("install.sh", "sh", "cmake --install"),
    ("compile.sh", "sh", "cc -std=c11"),
    ("socket.inc", "c", "hqq_reserve("),
    ("link.c", "c", "int main"),
    ("advanced.inc", "c", "hqq_advanced_open("),
    ("find_package.cmake", "cmake", "find_package("),
)

readme, folder = sys.argv[1:]
with open(readme) as file:
    text = file.read()
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
unclaimed = {block for block in blocks if block[0] in ("sh", "c", "cmake")}
for name, language, word in BLOCKS:
    found = [block for block in blocks if block[0] == language and word in block[1]]
    if len(found) != 1:
        sys.exit(f"{readme}: {len(found)} blocks of {language} have {word!r}, expected one")
    unclaimed.discard(found[0])
    if name:
        with open(f"{folder}/{name}", "w") as file:
            file.write(found[0][1])
for language, block in unclaimed:
    sys.exit(f"{readme}: a block of {language} that tests/fresh does not know:\n{block}")

# The second program begins as the first, up to where that has `link` and `fd`.
with open(f"{folder}/link.c") as file:
    head, end = re.match(r"(.*?hqq_link_create_fd\(.*?\n)( +return 1;\n)", file.read(), re.DOTALL).groups()
with open(f"{folder}/advanced.inc") as file, open(f"{folder}/advanced.c", "w") as program:
    program.write(head + end + file.read() + "}\n")
