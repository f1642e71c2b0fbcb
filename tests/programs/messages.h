/*
 * The numbered messages of messages.py, and what else the C programs of this folder share. They know nothing of the
 * library under test. Whatever goes wrong ends the program with a line on stderr and status 1.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MESSAGE_ROOM 8192
#define MESSAGE_END "this was the last one"

static inline void require(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

/* Writes message `number` and returns its size. */
static inline size_t message_write(unsigned char room[MESSAGE_ROOM], uint32_t number)
{
    static const size_t sizes[13] = {0, 1, 2, 3, 64, 100, 511, 1024, 1500, 4096, 4097, 8191, 8192};
    size_t size = sizes[number % 13];

    for (size_t i = 0; i < size; i++)
        room[i] = (unsigned char)(number + i);
    for (size_t i = 0; size >= 5 && i < 4; i++)
        room[i + 1] = (unsigned char)(number >> (8 * i));
    return size;
}

static inline void message_check(const unsigned char *got, size_t size, uint32_t number)
{
    unsigned char wanted[MESSAGE_ROOM];
    size_t wanted_size = message_write(wanted, number);

    if (size != wanted_size || memcmp(got, wanted, size) != 0) {
        fprintf(stderr, "message %u should have %zu bytes, but there came %zu, or others\n", (unsigned)number,
                wanted_size, size);
        exit(EXIT_FAILURE);
    }
}

static inline int is_end(const unsigned char *got, size_t size)
{
    return size == sizeof(MESSAGE_END) - 1 && memcmp(got, MESSAGE_END, size) == 0;
}

static inline struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    require(strlen(path) < sizeof(address.sun_path), path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

/* A non-blocking socket that is bound to a path. */
static inline int open_bound(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    require(fd >= 0, "socket");
    require(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    return fd;
}

static inline void connect_to(int fd, const char *path)
{
    struct sockaddr_un address = address_of(path);

    require(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect");
}

#endif
