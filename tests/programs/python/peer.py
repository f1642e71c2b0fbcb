"""peer.py ROLE STYLE SOCKET [COUNT [OWN]] [--large] [--senders N]: one end of a test, by Python's own means.

Roles: "receive" takes COUNT messages of each of N senders, "send" is one of them (bound to OWN, if given); "echo" answers
everything until the last message, "ask" asks it COUNT times from socket OWN: one question at a time, then five.
Styles: blocking; timeout (a timed wait before each call, in connected sockets); selectors (epoll and non-blocking calls);
asyncio (datagram endpoints).
Exit status 0 if all that came was right, in order, and all.
"""

import argparse
import asyncio
import os
import selectors
import socket

from messages import END, check, message

ROOM = 262_144
BURST = 5  # questions at a time; a kernel queue has room for more


def make(style, own=None):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if style == "timeout":
        sock.settimeout(20)
    elif style in ("selectors", "asyncio"):
        sock.setblocking(False)
    if own:
        sock.bind(own)
    return sock


class Waiting:
    """Blocking calls of a non-blocking socket, by epoll."""

    def __init__(self, sock):
        self.sock = sock
        self.selector = selectors.EpollSelector()
        self.selector.register(sock, selectors.EVENT_READ)

    def recvfrom(self, room):
        while True:
            try:
                return self.sock.recvfrom(room)
            except BlockingIOError:
                if not self.selector.select(20):
                    raise SystemExit("nothing to read for 20 s") from None

    def sendto(self, data, address):
        while True:
            try:
                return self.sock.sendto(data, address)
            except BlockingIOError:  # an unconnected socket is always writable: no event would come
                os.sched_yield()


def expect_nothing_more(sock):
    sock.settimeout(0.05)
    try:
        data = sock.recvfrom(ROOM)
    except TimeoutError:
        return
    raise SystemExit(f"after the last message there came {data}")


class Checker:
    """What each sender has sent so far; by source address, which may be none for one of them."""

    def __init__(self, options):
        self.options = options
        self.next = {}
        self.ended = 0

    def take(self, data, source):
        """Returns whether that was the last of all."""
        number = self.next.setdefault(source, 0)
        if len(self.next) > self.options.senders:
            raise SystemExit(f"there are more senders than {self.options.senders}: {list(self.next)}")
        if number == self.options.count:
            if data != END:
                raise SystemExit(f"{source} should have ended, but sent {data[:20]}")
            self.ended += 1
        else:
            check(data, number, self.options.large)
        self.next[source] = number + 1
        return self.ended == self.options.senders


def receive(options):
    sock = make(options.style, options.socket)
    source = Waiting(sock) if options.style == "selectors" else sock
    checker = Checker(options)
    while not checker.take(*source.recvfrom(ROOM)):
        pass
    expect_nothing_more(sock)


def send(options):
    sock = make(options.style, options.own)
    if options.style == "timeout":
        sock.connect(options.socket)
    sink = Waiting(sock) if options.style == "selectors" else sock
    for number in range(options.count + 1):
        data = message(number, options.large) if number < options.count else END
        if options.style == "timeout":
            sent = sock.send(data)
        else:
            sent = sink.sendto(data, options.socket)
        if sent != len(data):
            raise SystemExit(f"message {number}: {sent} of {len(data)} bytes sent")


def echo(options):
    sock = make(options.style, options.socket)
    both = Waiting(sock) if options.style == "selectors" else sock
    while True:
        data, source = both.recvfrom(ROOM)
        both.sendto(data, source)
        if data == END:
            break


def ask(options):
    sock = make(options.style, options.own)
    if options.style == "timeout":
        sock.connect(options.socket)
    both = Waiting(sock) if options.style == "selectors" else sock

    def put(data):
        if options.style == "timeout":
            sock.send(data)
        else:
            both.sendto(data, options.socket)

    def get():
        data, source = both.recvfrom(ROOM)
        if source != options.socket:
            raise SystemExit(f"an answer from {source}")
        return data

    number = 0
    while number < options.count:
        burst = 1 if number < options.count // 2 else BURST
        questions = range(number, min(number + burst, options.count))
        for question in questions:
            put(message(question, options.large))
        for question in questions:
            check(get(), question, options.large)
        number += len(questions)
    put(END)
    if get() != END:
        raise SystemExit("the last answer is wrong")
    expect_nothing_more(sock)


# The same by asyncio, whose sendto() leaves out empty messages.


class Endpoint(asyncio.DatagramProtocol):
    def __init__(self):
        self.arrived = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.arrived.put_nowait((data, addr))

    def error_received(self, exc):
        self.arrived.put_nowait((exc, None))


async def open_endpoint(path=None, peer=None):
    sock = make("asyncio", path)
    if peer:
        sock.connect(peer)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Endpoint, sock=sock)
    return transport, protocol.arrived


async def nothing_more(arrived):
    try:
        data = await asyncio.wait_for(arrived.get(), 0.05)
    except asyncio.TimeoutError:
        return
    raise SystemExit(f"after the last message there came {data}")


async def drained(transport):
    while transport.get_write_buffer_size():
        await asyncio.sleep(0)


def numbers(options):
    return [number for number in range(options.count) if message(number, options.large)]


async def async_receive(options):
    transport, arrived = await open_endpoint(options.socket)
    for number in numbers(options):
        check((await arrived.get())[0], number, options.large)
    if (await arrived.get())[0] != END:
        raise SystemExit("the last message is wrong")
    await nothing_more(arrived)
    transport.close()


async def async_send(options):
    transport, _ = await open_endpoint(options.own, options.socket)
    for number in numbers(options):
        transport.sendto(message(number, options.large))
        await drained(transport)
    transport.sendto(END)
    await drained(transport)
    transport.close()


async def async_echo(options):
    transport, arrived = await open_endpoint(options.socket)
    data = b""
    while data != END:
        data, source = await arrived.get()
        transport.sendto(data, source)
    await drained(transport)
    transport.close()


async def async_ask(options):
    transport, arrived = await open_endpoint(options.own, options.socket)
    left = numbers(options)
    while left:
        burst = 1 if len(left) > options.count // 2 else BURST
        for number in left[:burst]:
            transport.sendto(message(number, options.large))
        for number in left[:burst]:
            check((await arrived.get())[0], number, options.large)
        left = left[burst:]
    transport.sendto(END)
    if (await arrived.get())[0] != END:
        raise SystemExit("the last answer is wrong")
    await nothing_more(arrived)
    transport.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("receive", "send", "echo", "ask"))
    parser.add_argument("style", choices=("blocking", "timeout", "selectors", "asyncio"))
    parser.add_argument("socket")
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("own", nargs="?")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--senders", type=int, default=1)
    options = parser.parse_args()
    if options.style == "asyncio":
        roles = {"receive": async_receive, "send": async_send, "echo": async_echo, "ask": async_ask}
        asyncio.run(asyncio.wait_for(roles[options.role](options), 50))
    else:
        {"receive": receive, "send": send, "echo": echo, "ask": ask}[options.role](options)


main()
