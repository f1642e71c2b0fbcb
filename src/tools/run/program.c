#include "tools/run/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tools/run/options.h"

#define SCRIPTS_MAX 5 /* the kernel follows as many interpreters of interpreters */
#define DEFAULT_PATH "/bin:/usr/bin"

__attribute__((format(printf, 3, 4))) static void refuse(struct run_program *program, int status, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(program->reason, sizeof(program->reason), format, arguments);
    va_end(arguments);
    program->exit_status = status;
}

/* text is shorter than PATH_MAX. */
static void copy_path(char path[PATH_MAX], const char *text)
{
    memcpy(path, text, strlen(text) + 1);
}

/* ---- Where it is ----------------------------------------------------------------------------------------------- */

/* 0 or -errno. */
static int look_at(const char *path)
{
    struct stat stat_buffer;
    if (stat(path, &stat_buffer) != 0)
        return -errno;
    if (S_ISDIR(stat_buffer.st_mode))
        return -EISDIR;
    if (!S_ISREG(stat_buffer.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

/* The first of PATH that can be run; else the first error that is not that there is none. */
static int search_path(const char *command, char path[PATH_MAX])
{
    const char *folder = getenv("PATH");
    int result = -ENOENT;
    if (!folder)
        folder = DEFAULT_PATH;
    for (;;) {
        char candidate[PATH_MAX];
        size_t length = strcspn(folder, ":");
        int size =
            snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)length, folder, length > 0 ? "/" : "./", command);
        int found = size > 0 && (size_t)size < sizeof(candidate) ? look_at(candidate) : -ENAMETOOLONG;
        if (found == 0 || (result == -ENOENT && found == -EACCES)) {
            copy_path(path, candidate);
            result = found;
        }
        if (found == 0 || folder[length] == '\0')
            return result;
        folder += length + 1;
    }
}

static int find(const char *command, char path[PATH_MAX])
{
    if (!strchr(command, '/'))
        return *command ? search_path(command, path) : -ENOENT;
    if (strlen(command) >= PATH_MAX)
        return -ENAMETOOLONG;
    int result = look_at(command);
    copy_path(path, command);
    return result;
}

/* ---- Whether it works ------------------------------------------------------------------------------------------ */

/* With rights that its caller has not, a program ignores LD_PRELOAD. */
static const char *privilege_of(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return NULL;
    if ((stat.st_mode & S_ISUID) && stat.st_uid != getuid())
        return "it is set-user-ID";
    if ((stat.st_mode & S_ISGID) && (stat.st_mode & S_IXGRP) && stat.st_gid != getgid())
        return "it is set-group-ID";
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "it has file capabilities";
    return NULL;
}

/* The program's own start is told not to look. */
static bool is_asan_order_free(void)
{
    const char *options = getenv("ASAN_OPTIONS");
    return options && strstr(options, "verify_asan_link_order=0");
}

/* What is wrong with an ELF program; NULL if nothing is. */
static const char *flaw_of(const struct hqq_elf *elf, const struct hqq_elf *library)
{
    if (elf->is_foreign || elf->machine != library->machine || elf->class != library->class)
        return "it is for another processor, or of another word size, than the preload library";
    if (elf->is_go)
        return "it is a Go program: Go makes its system calls without libc, where they cannot be seen";
    if (elf->loader[0] == '\0')
        return "it is statically linked: there is no loader that would load the preload library";
    if (hqq_elf_flaw(elf) == HQQ_ELF_MUSL)
        return "it runs with musl libc, and the preload library is made for glibc";
    if (hqq_elf_flaw(elf) == HQQ_ELF_ASAN_BEFORE && !is_asan_order_free())
        return "it is built with AddressSanitizer as a library, which has to be loaded before any other";
    return NULL;
}

/* A text without #!, which execvp() hands to the shell. */
static bool is_text(int fd)
{
    char begin[128];
    ssize_t size = pread(fd, begin, sizeof(begin), 0);
    return size >= 0 && !memchr(begin, '\0', (size_t)size);
}

/* path is what runs: what was asked for, or the interpreter of that. Returns whether there is another one to look at,
 * which is put in its place. */
static bool inspect(struct run_program *program, char path[PATH_MAX], const struct hqq_elf *library)
{
    const char *name = path;
    char interpreter[PATH_MAX] = "", line[HQQ_ELF_SCRIPT_LINE];
    const char *script = NULL;
    struct hqq_elf elf;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        /* It may be run without being read. */
        refuse(program, RUN_EXIT_CANNOT, "%s: cannot be looked at: %s", name, strerror(errno));
        return false;
    }
    const char *privilege = privilege_of(fd);
    int result = hqq_elf_read(fd, &elf);
    if (result != 0)
        refuse(program, RUN_EXIT_CANNOT, "%s: %s", name, strerror(-result));
    else if (elf.is_elf && privilege)
        refuse(program, RUN_EXIT_CANNOT, "%s: cannot be preloaded: %s", name, privilege);
    else if (elf.is_elf && flaw_of(&elf, library))
        refuse(program, RUN_EXIT_CANNOT, "%s: cannot be preloaded: %s", name, flaw_of(&elf, library));
    else if (elf.is_elf && access(elf.loader, X_OK) != 0)
        refuse(program, RUN_EXIT_MISSING, "%s: its loader %s: %s", name, elf.loader, strerror(errno));
    else if (!elf.is_elf && (script = hqq_elf_interpreter(fd, line)))
        copy_path(interpreter, script);
    else if (!elf.is_elf && is_text(fd))
        copy_path(interpreter, "/bin/sh");
    else if (!elf.is_elf)
        refuse(program, RUN_EXIT_CANNOT, "%s: is neither an ELF program nor a script", name);
    close(fd);
    if (interpreter[0] == '\0')
        return false;

    result = look_at(interpreter);
    if (result != 0) {
        refuse(program, result == -ENOENT ? RUN_EXIT_MISSING : RUN_EXIT_CANNOT, "%s: its interpreter %s: %s", name,
               interpreter, strerror(-result));
        return false;
    }
    copy_path(path, interpreter);
    return true;
}

void run_program_find(const char *command, const struct hqq_elf *library, struct run_program *ret_program)
{
    *ret_program = (struct run_program){0};
    int result = find(command, ret_program->path);
    if (result != 0) {
        ret_program->path[0] = '\0';
        bool is_missing = result == -ENOENT || result == -ENOTDIR;
        refuse(ret_program, is_missing ? RUN_EXIT_MISSING : RUN_EXIT_CANNOT, "%.1000s: %s", command,
               is_missing && !strchr(command, '/') ? "command not found" : strerror(-result));
        return;
    }
    char at[PATH_MAX];
    copy_path(at, ret_program->path);
    int scripts = 0;
    while (inspect(ret_program, at, library)) {
        copy_path(ret_program->interpreter, at);
        if (++scripts > SCRIPTS_MAX) {
            refuse(ret_program, RUN_EXIT_CANNOT, "%s: too many interpreters of interpreters", ret_program->path);
            return;
        }
    }
}
