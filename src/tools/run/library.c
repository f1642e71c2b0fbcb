#include "tools/run/library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/run/options.h"

#define NAME "libhqq-preload.so"

/* The folder of this tool; false if that can't be told. */
static bool own_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* Installed beside this tool; in the build tree; where it was meant to be installed. */
static bool search(char path[PATH_MAX])
{
    char folder[PATH_MAX], candidate[2 * PATH_MAX];
    static const char *const places[] = {"/../" HQQ_LIBDIR "/" NAME, "/../../preload/" NAME};
    if (own_folder(folder)) {
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            snprintf(candidate, sizeof(candidate), "%s%s", folder, places[i]);
            if (realpath(candidate, path))
                return true;
        }
    }
    return realpath(HQQ_FULL_LIBDIR "/" NAME, path) != NULL;
}

static bool find(const char *given, char path[PATH_MAX])
{
    const char *option = "--library";
    if (!given) {
        given = getenv("HQQ_PRELOAD_LIBRARY");
        option = "HQQ_PRELOAD_LIBRARY";
    }
    if (given && *given)
        return realpath(given, path) || run_complain("%s: '%s': %s", option, given, strerror(errno));
    return search(path) || run_complain("there is no " NAME " beside this tool: say where it is by --library=FILE or "
                                        "HQQ_PRELOAD_LIBRARY");
}

bool run_library_find(const char *given, struct run_library *ret_library)
{
    if (!find(given, ret_library->path))
        return false;
    /* ld.so has no way to quote them. */
    if (strpbrk(ret_library->path, " :"))
        return run_complain("'%s' cannot be preloaded: there is a space or a colon in its path", ret_library->path);
    int fd = open(ret_library->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return run_complain("'%s': %s", ret_library->path, strerror(errno));
    int result = hqq_elf_read(fd, &ret_library->elf);
    close(fd);
    if (result != 0 || !ret_library->elf.is_elf || ret_library->elf.is_foreign || ret_library->elf.type != ET_DYN)
        return run_complain("'%s' is not a shared library of this machine", ret_library->path);
    return true;
}
