"""expect_ring.py FOLDER NAME SOCKET PAIRING: for expect_ring of lib.sh; reads the reports FOLDER/*.json."""

import glob
import json
import sys

folder, name, socket, pairing = sys.argv[1:]


def sockets(path):
    with open(path) as file:
        text = file.read()
    # A program that still runs has no report yet.
    return [entry for process in json.loads(text)["processes"] for entry in process["sockets"]] if text else []


received = [entry for entry in sockets(f"{folder}/{name}.json") if entry["bound"] == socket]
sent = [entry for path in glob.glob(f"{folder}/*.json") for entry in sockets(path) if entry["peer"] == socket]
ring = sum(entry["received_ring"] for entry in received)
kernel = sum(entry["received_kernel"] for entry in received)
spills = sum(entry["spills"] for entry in sent)
reasons = sorted({entry["reason_text"] for entry in received + sent})
print(f"    {pairing}: {name} received {ring} by ring, {kernel} by kernel, {spills} spills; {', '.join(reasons)}")

if ring + kernel == 0:
    sys.exit("the report has nothing received on the socket")
if pairing != "preloaded preloaded":
    sys.exit("one end is plain, and yet datagrams took a ring" if ring else 0)
