"""clang_tidy.py ROOT CLANG_TIDY BUILD: no finding of .clang-tidy's checks in src. BUILD has compile_commands.json.

Most sources are compiled more than once, for the library and for tests that see all of it. A source is checked once for
each text that the preprocessor makes of it, labelled points apart, which are calls of a test's hook or nothing: to
check the same text twice, as clang-tidy does, finds nothing more. What had no finding is noted in BUILD, and not
checked again until the text, the checks or clang-tidy have changed.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

root, tidy, build = sys.argv[1:] if len(sys.argv) == 4 else (sys.argv[1], "", "")
if not os.access(tidy, os.X_OK):
    print("skipped: no clang-tidy here")
    sys.exit(77)
sources = os.path.join(root, "src") + "/"
notes = os.path.join(build, "clang-tidy")
os.makedirs(notes, exist_ok=True)


def read(path):
    with open(path, "rb") as file:
        return file.read()


POINT = re.compile(rb'do \{ if \(hqq_point_hook\) hqq_point_hook\([^()]*\); \} while \(0\)')
DECLARATION = re.compile(rb"extern void \(\*hqq_point_hook\)\([^()]*\);|extern const char \*const hqq_point_labels\[\];"
                         rb"(?:\s*/\*[^*]*\*/)?")
same_for_all = read(os.path.join(root, ".clang-tidy")) + subprocess.check_output([tidy, "--version"])


def without_output(entry):
    """The arguments of a compilation, but for what it writes and reads."""
    arguments = shlex.split(entry["command"])
    at = arguments.index("-o")
    del arguments[at:at + 2]
    at = arguments.index("-c")
    del arguments[at:at + 2]
    return arguments


def text_of(entry):
    """With its comments, which silence findings; without labelled points and what they need."""
    text = subprocess.run([*without_output(entry), "-E", "-P", "-C", entry["file"]], cwd=entry["directory"],
                          stdout=subprocess.PIPE, check=True).stdout
    if not entry["file"].endswith("/base/point.c"):
        text = POINT.sub(b"((void)0)", DECLARATION.sub(b"", text))
    return b"\n".join(filter(None, map(bytes.strip, text.splitlines())))


def check(note, entry):
    found = subprocess.run([tidy, "--quiet", entry["file"], "--", *without_output(entry)[1:]], cwd=entry["directory"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if found.returncode == 0 and not found.stdout:
        with open(os.path.join(notes, note), "w"):
            return True
    print(found.stdout + found.stderr, end="", flush=True)
    return False


with open(os.path.join(build, "compile_commands.json")) as file:
    entries = [entry for entry in json.load(file) if entry["file"].startswith(sources)]
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    texts = list(pool.map(text_of, entries))
    todo = {hashlib.sha256(same_for_all + entry["file"].encode() + text).hexdigest(): entry
            for entry, text in zip(entries, texts)}
    old = {note for note in os.listdir(notes)}
    for note in old - todo.keys():
        os.remove(os.path.join(notes, note))
    left = {note: entry for note, entry in todo.items() if note not in old}
    print(f"{len(entries)} compilations of {len({entry['file'] for entry in entries})} sources, {len(todo)} different, "
          f"{len(left)} to check", flush=True)
    right = list(pool.map(check, left.keys(), left.values()))
if not entries:
    sys.exit("compile_commands.json has no source of src")
sys.exit(0 if all(right) else 1)
