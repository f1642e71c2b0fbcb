"""demo_loops.py PART ...: the loops of the demo, which know nothing but Python's socket module.

send SOCKET COUNT, receive SOCKET COUNT: a stream of numbered datagrams, and who receives it.
ask SOCKET SERVER COUNT, answer SERVER: a question at a time, answered by what was asked.
The receiver and the asker print how many seconds it took, and fail if anything is not what it should be.
"""

import socket
import sys
import time

SOCKET = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def send(path, count):
    SOCKET.connect(path)
    for number in range(int(count)):
        SOCKET.send(b"%0256d" % number)


def receive(path, count):
    SOCKET.bind(path)
    got = [SOCKET.recv(300)]
    start = time.monotonic()
    for _ in range(int(count) - 1):
        got.append(SOCKET.recv(300))
    print(time.monotonic() - start)
    wrong = [number for number, text in enumerate(got) if text != b"%0256d" % number]
    if wrong:
        sys.exit(f"{len(wrong)} datagrams are not what was sent; the first is number {wrong[0]}")


def ask(path, server, count):
    SOCKET.bind(path)
    SOCKET.connect(server)
    start = time.monotonic()
    for number in range(int(count)):
        SOCKET.send(b"%064d" % number)
        if SOCKET.recv(100) != b"%064d" % number:
            sys.exit(f"answer {number} is wrong")
    print(time.monotonic() - start)
    SOCKET.send(b"")


def answer(path):
    SOCKET.bind(path)
    while True:
        question, sender = SOCKET.recvfrom(100)
        if not question:
            return
        SOCKET.sendto(question, sender)


{"send": send, "receive": receive, "ask": ask, "answer": answer}[sys.argv[1]](*sys.argv[2:])
