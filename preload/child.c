#include "preload/child.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/elf.h"
#include "platform/guard.h"
#include "platform/sys.h"
#include "preload/real.h"
#include "runtime/filter.h"

#define PATH_SPACE 512 /* longer ones are not looked at */
#define SCRIPTS_MAX 4  /* interpreters of interpreters */

static const char variable[] = "LD_PRELOAD=";
static const char *own_name; /* without its folder */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void hqq_child_begin(void)
{
    Dl_info info;
    if (dladdr(&own_name, &info) != 0 && info.dli_fname)
        own_name = base_of(info.dli_fname);
}

/* ---- LD_PRELOAD --------------------------------------------------------------------------------------------------- */

/* The next entry of a list from *at on; 0: no more. *at is behind it then. */
static size_t next_entry(const char **at, const char **ret_entry)
{
    *at += strspn(*at, " :");
    size_t length = strcspn(*at, " :");
    *ret_entry = *at;
    *at += length;
    return length;
}

static bool is_called(const char *entry, size_t length, const char *name, size_t name_length)
{
    return length >= name_length && memcmp(entry + length - name_length, name, name_length) == 0 &&
           (length == name_length || entry[length - name_length - 1] == '/');
}

static bool is_own(const char *entry, size_t length)
{
    return is_called(entry, length, own_name, strlen(own_name));
}

static bool is_asan(const char *entry, size_t length)
{
    static const char name[] = "libasan.so";
    for (size_t at = length; at >= sizeof(name) - 1; at--) {
        if (is_called(entry, at, name, sizeof(name) - 1))
            return true;
    }
    return false;
}

/* True if an entry of the environment has this library in it. */
static bool find_preload(char *const environment[], size_t *ret_index, bool *ret_has_asan_before)
{
    if (!own_name || !environment)
        return false;
    for (size_t i = 0; hqq_guard_is_readable(&environment[i], sizeof(*environment)) && environment[i]; i++) {
        if (!hqq_guard_is_readable(environment[i], 1))
            return false; /* the kernel finds it too */
        if (strncmp(environment[i], variable, sizeof(variable) - 1) != 0)
            continue;
        const char *at = environment[i] + sizeof(variable) - 1, *entry;
        *ret_has_asan_before = false;
        for (size_t length; (length = next_entry(&at, &entry)) != 0;) {
            *ret_index = i;
            if (is_own(entry, length))
                return true;
            *ret_has_asan_before |= is_asan(entry, length);
        }
    }
    return false;
}

/* ---- The program -------------------------------------------------------------------------------------------------- */

static bool is_plain_file(int folder, const char *path)
{
    struct stat status;
    return hqq_libc.syscall(SYS_newfstatat, folder, path, &status, 0) == 0 && S_ISREG(status.st_mode);
}

/* -1 unless it is a plain file: to open another one may change something, or wait. */
static int open_program(int folder, const char *path)
{
    if (!is_plain_file(folder, path))
        return -1;
    return (int)hqq_libc.syscall(SYS_openat, folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Of what runs in the end; what can't be looked at bears us. */
static enum hqq_elf_flaw flaw_at(int folder, const char *path)
{
    char line[HQQ_ELF_SCRIPT_LINE];
    struct hqq_elf elf;
    enum hqq_elf_flaw flaw = HQQ_ELF_BEARS;
    for (int depth = 0; path && depth <= SCRIPTS_MAX; depth++) {
        int fd = open_program(folder, path);
        path = NULL;
        if (fd < 0)
            return HQQ_ELF_BEARS;
        if (hqq_elf_read(fd, &elf) == 0 && elf.is_elf)
            flaw = hqq_elf_flaw(&elf);
        else
            path = hqq_elf_interpreter(fd, line);
        hqq_libc.syscall(SYS_close, fd);
        folder = AT_FDCWD;
    }
    return flaw;
}

/* By its name in /proc, as it may be open for nothing but to be executed. */
static enum hqq_elf_flaw flaw_of_file(int fd)
{
    char path[32] = "/proc/self/fd/", digits[12];
    size_t count = 0, length = sizeof("/proc/self/fd/") - 1;
    do
        digits[count++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (count > 0)
        path[length++] = digits[--count];
    path[length] = '\0';
    return flaw_at(AT_FDCWD, path);
}

static bool is_program(const char *path)
{
    return is_plain_file(AT_FDCWD, path) && hqq_libc.syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

/* As execvp(3) searches: the first of the folders in which it can be executed. */
static enum hqq_elf_flaw flaw_of_name(const char *name)
{
    const char *folders = getenv("PATH");
    size_t length = strlen(name);
    if (strchr(name, '/'))
        return flaw_at(AT_FDCWD, name);
    for (const char *at = folders ? folders : "/bin:/usr/bin";; at++) {
        char path[PATH_SPACE];
        size_t folder = strcspn(at, ":");
        if (folder + length + 2 <= sizeof(path)) {
            memcpy(path, at, folder);
            path[folder] = '/';
            memcpy(path + folder + (folder != 0), name, length + 1); /* an empty one is the working directory */
            if (is_program(path))
                return flaw_at(AT_FDCWD, path);
        }
        at += folder;
        if (!*at)
            return HQQ_ELF_BEARS;
    }
}

static bool bears_us(const struct hqq_child *child, bool has_asan_before)
{
    int saved = errno;
    enum hqq_elf_flaw flaw = child->path      ? flaw_at(child->folder, child->path)
                             : child->name    ? flaw_of_name(child->name)
                             : child->fd >= 0 ? flaw_of_file(child->fd)
                                              : HQQ_ELF_BEARS;
    errno = saved;
    return flaw == HQQ_ELF_BEARS || (flaw == HQQ_ELF_ASAN_BEFORE && has_asan_before);
}

/* ---- Without us --------------------------------------------------------------------------------------------------- */

/* What is left of an entry; its other libraries keep their order. False: none. */
static bool leave_out(const char *from, char *to)
{
    const char *at = from + sizeof(variable) - 1, *entry;
    memcpy(to, variable, sizeof(variable));
    char *end = to + sizeof(variable) - 1;
    for (size_t length; (length = next_entry(&at, &entry)) != 0;) {
        if (is_own(entry, length))
            continue;
        if (end[-1] != '=')
            *end++ = ':';
        memcpy(end, entry, length);
        end += length;
    }
    *end = '\0';
    return end[-1] != '=';
}

static void copy_without(char *const environment[], size_t count, size_t index, char **changed, char *entry)
{
    memcpy(changed, environment, (count + 1) * sizeof(*changed));
    if (leave_out(environment[index], entry))
        changed[index] = entry;
    else
        memmove(changed + index, changed + index + 1, (count - index) * sizeof(*changed));
}

/* In memory of its own, which an exec that succeeds takes along; without any the program gets what it was to get. */
static int start_without(char *const environment[], size_t index, hqq_child_start_fn *start, void *call)
{
    size_t count = 0;
    while (environment[count])
        count++;
    size_t array = (count + 1) * sizeof(char *), size = array + strlen(environment[index]) + 1;
    void *memory;
    if (hqq_sys.mmap(&memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) != 0)
        return start(call, environment);
    copy_without(environment, count, index, memory, (char *)memory + array);
    int result = start(call, memory);
    hqq_sys.munmap(memory, size);
    return result;
}

int hqq_child_start(const struct hqq_child *child, char *const environment[], hqq_child_start_fn *start, void *call)
{
    bool has_asan_before;
    size_t index;
    if (!hqq_preload_is_ready() || hqq_filter_is_set() || !find_preload(environment, &index, &has_asan_before) ||
        bears_us(child, has_asan_before))
        return start(call, environment);
    return start_without(environment, index, start, call);
}
