"""flood.py receive|send SOCKET COUNT: a receiver and a sender that do nothing between their calls, so that queues are full
and empty all the time. The receiver looks at what it got in the end. Exit status 0 if that was all, and in order."""

import socket
import sys

role, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if role == "send":
    sock.connect(path)
    for number in range(count):
        sock.send(b"%0256d" % number)
else:
    sock.bind(path)
    got = [sock.recv(300) for _ in range(count)]
    wrong = [number for number, text in enumerate(got) if text != b"%0256d" % number]
    if wrong:
        first = wrong[0]
        sys.exit(f"{len(wrong)} of {count} are wrong; around {first}: {[text.lstrip(b'0') for text in got[first - 1:first + 3]]}; "
                 f"{count - len(set(got))} twice, {len(set(b'%0256d' % n for n in range(count)) - set(got))} lost")
