/* A rule: how the sockets that it is about are moved. Constant once configuration has been read. */
#ifndef HQQ_RUNTIME_RULE_H
#define HQQ_RUNTIME_RULE_H

#include <stdint.h>

enum hqq_rendezvous {
    HQQ_RENDEZVOUS_ABSTRACT, /* a name of the kernel's abstract namespace */
    HQQ_RENDEZVOUS_FILE,     /* a socket file beside the path: where network namespaces differ */
};

/* Who may be at the other end, beside root and the owner of the path. */
enum hqq_peers {
    HQQ_PEERS_SAME_USER, /* this process's effective user */
    HQQ_PEERS_ANY,
};

/* Whether rings are polled, and waits spin. */
enum hqq_polling {
    HQQ_POLLING_AUTO,   /* while it pays */
    HQQ_POLLING_ALWAYS, /* whenever nothing forbids it, whatever it costs others */
    HQQ_POLLING_NEVER,  /* everything takes the kernel */
};

struct hqq_rule {
    uint32_t slots;      /* a power of two, 2 to 65536; default 256 */
    uint32_t slot_size;  /* bytes, a multiple of 8, 64 to 65536; default 2048 */
    uint64_t spin_ns;    /* longest spin before a sleep; default 50 us; 0: never spin */
    uint64_t memory;     /* bytes that channels of this process may take; default 0: as much as budget.h says */
    uint32_t link_after; /* datagrams through the kernel before a link is offered; default 4 */
    enum hqq_peers peers;
    enum hqq_rendezvous rendezvous;
    enum hqq_polling polling;
};

#endif
