#include "observer/observer.h"

#include <string.h>

#define MAGIC UINT64_C(0x6f62736572766564)

static uint32_t mix(const struct message *message)
{
    uint64_t mixed = message->number * UINT64_C(0x9e3779b97f4a7c15) + message->sender * 131u +
                     message->incarnation * UINT64_C(0xc2b2ae3d27d4eb4f) + message->length;
    return (uint32_t)(mixed >> 32 ^ mixed);
}

bool message_may_be(int length)
{
    return length >= (int)sizeof(struct message) && length <= LONGEST && length % 8 == 0;
}

size_t message_fill(void *data, int sender, uint32_t incarnation, uint64_t number, size_t length)
{
    struct message message = {.magic = MAGIC,
                              .number = number,
                              .sender = (uint32_t)sender,
                              .incarnation = incarnation,
                              .length = (uint32_t)length};
    message.mixed = mix(&message);
    memcpy(data, &message, sizeof(message));
    for (size_t at = sizeof(message); at < length; at++)
        ((unsigned char *)data)[at] = (unsigned char)(message.mixed + at);
    return length;
}

void message_check(const char *who, const void *data, size_t got, struct message *ret_message)
{
    struct message message = {0};
    memcpy(&message, data, got < sizeof(message) ? got : sizeof(message));
    if (got < sizeof(message) || message.magic != MAGIC || message.mixed != mix(&message) || message.length != got ||
        message.sender >= SENDERS)
        fail("%s: %zu bytes that no program has sent", who, got);
    for (size_t at = sizeof(message); at < got; at++) {
        if (((const unsigned char *)data)[at] != (unsigned char)(message.mixed + at))
            fail("%s: byte %zu of %zu is another's", who, at, got);
    }
    *ret_message = message;
}
