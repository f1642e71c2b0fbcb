"""What share of a run's datagrams took the ring, and why the rest did not, from the reports of its programs."""

# Reasons of a report (enum hqq_socket_reason) that say how a socket ended, not what kept it from the ring.
ACCELERATED, PEER_LEFT = 0, 10
FIRST = 64       # datagrams at most that take the kernel before a link is open
EACH_SPILL = 16  # datagrams at most that take the kernel each time that a ring was full


def share(sockets):
    """Of all datagrams that were received, and in words why the rest did not take the ring."""
    ring = sum(socket["received_ring"] for socket in sockets)
    kernel = sum(socket["received_kernel"] for socket in sockets)
    if kernel == 0:
        return 1.0, "all by the ring"
    return ring / (ring + kernel), f"{kernel:,} by the kernel: {reason(sockets, kernel)}"


def reason(sockets, kernel):
    # A receiver that can't use a ring is the cause; its sender merely waits for it, and so comes second.
    for way in ("received", "sent"):
        never = [socket for socket in sockets if socket[f"{way}_kernel"] > kernel / 2 and socket[f"{way}_ring"] == 0
                 and socket["reason"] not in (ACCELERATED, PEER_LEFT)]
        if never:
            return f"{never[0]['reason_text']} ({never[0]['command']})"
    spills = sum(socket["spills"] for socket in sockets)
    links = max(1, sum(socket["links_opened"] for socket in sockets))
    text = "the first ones, until a link was open"
    if spills:
        text += f", and some after each time that the ring was full ({spills:,})"
    if kernel > FIRST * links + EACH_SPILL * spills:
        text += "; of more the reports do not tell"
    return text
