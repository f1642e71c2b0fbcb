/* Why a socket's datagrams go through the kernel, in words. Constant data only, so async-signal-safe. */
#include <hqq/socket.h>

const char *hqq_socket_reason_text(enum hqq_socket_reason reason)
{
    switch (reason) {
    case HQQ_SOCKET_ACCELERATED:
        return "accelerated: datagrams go through shared memory";
    case HQQ_SOCKET_NOT_OURS:
        return "no UNIX datagram socket, or not made, bound or connected through HQQ";
    case HQQ_SOCKET_NOT_CONFIGURED:
        return "its path is not configured: no glob of HQQ_PATHS or of the configuration file matches it";
    case HQQ_SOCKET_NO_TRAFFIC:
        return "too few datagrams so far to be worth a link (HQQ_LINK_AFTER says how many)";
    case HQQ_SOCKET_PEER_PLAIN:
        return "the process at the other end does not use HQQ";
    case HQQ_SOCKET_PEER_FOREIGN:
        return "the process at the other end belongs to another user, who is not allowed (peers=any allows all)";
    case HQQ_SOCKET_WAITING:
        return "a link was offered; the process at the other end has not received on its socket since";
    case HQQ_SOCKET_OPTION:
        return "an option or a use that only the kernel can serve, such as passed credentials or SO_PEEK_OFF";
    case HQQ_SOCKET_SHARED:
        return "several processes receive on the same socket";
    case HQQ_SOCKET_RESOURCES:
        return "out of memory (HQQ_MEMORY says how much links may take), of descriptors, or of links";
    case HQQ_SOCKET_PEER_LEFT:
        return "the process at the other end has closed its socket or has ended";
    case HQQ_SOCKET_FILTERED:
        return "the process is under a seccomp filter, so nothing is done but its own system calls";
    case HQQ_SOCKET_NO_RENDEZVOUS:
        return "another process holds the name where links are offered to the socket: a receiver of it, or a stranger";
    }
    return "unknown reason";
}
