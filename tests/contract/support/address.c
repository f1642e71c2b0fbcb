#include "support/address.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "support/contract.h"

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static char *bytes_of(struct address *address)
{
    return (char *)&address->name + PATH_AT;
}

const char *scratch_path(const char *file)
{
    static char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", contract_folder(), file);
    assert_in_range(length, 1, sizeof(path) - 1);
    return path;
}

struct address address_path(const char *file)
{
    struct address address = {.name.ss_family = AF_UNIX};
    const char *path = scratch_path(file);
    assert_in_range(strlen(path), 1, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    memcpy(bytes_of(&address), path, strlen(path) + 1);
    address.length = (socklen_t)(PATH_AT + strlen(path) + 1);
    return address;
}

struct address address_bytes(const void *bytes, size_t length)
{
    struct address address = {.name.ss_family = AF_UNIX};
    memcpy(bytes_of(&address), bytes, length);
    address.length = (socklen_t)(PATH_AT + length);
    return address;
}

struct address address_abstract(const char *label)
{
    char name[108] = "";
    const char *unique = strrchr(contract_folder(), '/') + 1;
    int length = snprintf(name + 1, sizeof(name) - 1, "%s-%s", unique, label);
    return address_bytes(name, (size_t)length + 1);
}

const char *address_text(const struct address *address)
{
    return (const char *)&address->name + PATH_AT;
}

const struct sockaddr *address_of(const struct address *address)
{
    return (const struct sockaddr *)&address->name;
}

struct address address_own(int fd)
{
    struct address address = {.length = sizeof(address.name)};
    assert_result(getsockname(fd, (struct sockaddr *)&address.name, &address.length), 0);
    return address;
}

struct address address_peer(int fd)
{
    struct address address = {.length = sizeof(address.name)};
    assert_result(getpeername(fd, (struct sockaddr *)&address.name, &address.length), 0);
    return address;
}

void assert_address(const struct address *got, const struct address *wanted)
{
    assert_int_equal(got->length, wanted->length);
    assert_memory_equal(&got->name, &wanted->name, wanted->length);
}
