"""The numbered messages that the programs of this folder send each other: what message n is, anyone can tell.

Message n has SIZES[n % 13] bytes: n & 255 first, and each byte one more than the one before; from the second to the
fifth byte, where there are that many, the number itself (little-endian). As a sender's messages arrive in order, who
counts them knows each byte of the next. messages.h, peer.js, peer.pl and peer.rs say the same in other languages.
"""

SIZES = (0, 1, 2, 3, 64, 100, 511, 1024, 1500, 4096, 4097, 8191, 8192)
LARGE = {97: 65_000, 501: 200_000}  # messages whose number is a multiple, where asked for
_RUN = bytes(range(256)) * (200_000 // 256 + 2)
END = b"this was the last one"


def message(number, large=False):
    size = SIZES[number % len(SIZES)]
    if large and number:
        size = next((larger for step, larger in LARGE.items() if number % step == 0), size)
    start = number & 255
    body = bytearray(_RUN[start:start + size])
    if size >= 5:
        body[1:5] = number.to_bytes(4, "little")
    return bytes(body)


def check(got, number, large=False):
    """Ends the program with a line that says what came in place of message `number`."""
    wanted = message(number, large)
    if got != wanted:
        raise SystemExit(f"message {number} has {len(wanted)} bytes {wanted[:12].hex()}..., "
                         f"but there came {len(got)} bytes {got[:12].hex()}...")
