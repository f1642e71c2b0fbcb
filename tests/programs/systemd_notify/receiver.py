"""receiver.py SOCKET COUNT: a service manager's end of the notification protocol, for COUNT calls of systemd-notify.

Every call sends its number, and every second one a barrier after it: a descriptor, whose closing the caller waits for.
The kernel says of which user each is (and of which process, or of its parent: a privileged caller may choose). Exit status 0 if all came, in order, and nothing else.
"""

import array
import os
import socket
import struct
import sys

path, count = sys.argv[1], int(sys.argv[2])
CREDENTIALS = struct.Struct("3i")


def take(sock):
    """Text and descriptors of the next datagram."""
    text, ancillary, flags, _ = sock.recvmsg(4096, 1024)
    uid, fds = None, array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            _, uid, _ = CREDENTIALS.unpack(data)
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data)
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or uid != os.getuid():
        sys.exit(f"{text} came with flags {flags} from user {uid}")
    return text, fds


sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
sock.bind(path)
for number in range(count):
    text, fds = take(sock)
    if text != f"STATUS=call {number}".encode() or fds:
        sys.exit(f"call {number} sent {text} with {len(fds)} descriptors")
    if number % 2:
        text, fds = take(sock)
        if text != b"BARRIER=1" or len(fds) != 1:
            sys.exit(f"call {number} sent {text} with {len(fds)} descriptors")
        os.close(fds[0])
sock.settimeout(0.05)
try:
    sys.exit(f"after the last call there came {sock.recv(100)}")
except TimeoutError:
    pass
