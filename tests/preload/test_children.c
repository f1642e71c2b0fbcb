/*
 * Programs that a preloaded one starts, in each way that there is: those that can bear the library get it, the others do not, and
 * say nothing of it. Arguments: the folder of the children.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER "libm.so.6" /* preloaded beside it */

static const char *folder;

enum way {
    EXECVE,
    EXECV,
    EXECVP,
    EXECVPE,
    EXECL,
    EXECLP,
    EXECLE,
    EXECVEAT,
    EXECVEAT_FILE,
    FEXECVE,
    SPAWN,
    SPAWNP,
    WAYS
};

static void start(enum way way, const char *path)
{
    char word[] = "word", name[PATH_MAX], *arguments[] = {name, word, NULL};
    snprintf(name, sizeof(name), "%s", path);
    const char *file = strrchr(path, '/') + 1;
    pid_t pid;
    int status;
    switch (way) {
    case EXECVE:
        execve(path, arguments, environ);
        break;
    case EXECV:
        execv(path, arguments);
        break;
    case EXECVP:
        execvp(file, arguments);
        break;
    case EXECVPE:
        execvpe(file, arguments, environ);
        break;
    case EXECL:
        execl(path, name, word, (char *)NULL);
        break;
    case EXECLP:
        execlp(file, name, word, (char *)NULL);
        break;
    case EXECLE:
        execle(path, name, word, (char *)NULL, environ);
        break;
    case EXECVEAT:
        execveat(AT_FDCWD, path, arguments, environ, 0);
        break;
    case EXECVEAT_FILE:
        execveat(open(path, O_RDONLY), "", arguments, environ, AT_EMPTY_PATH);
        break;
    case FEXECVE:
        fexecve(open(path, O_RDONLY), arguments, environ);
        break;
    case SPAWN:
        if (posix_spawn(&pid, path, NULL, NULL, arguments, environ) == 0)
            _exit(waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 1);
        break;
    case SPAWNP:
        if (posix_spawnp(&pid, file, NULL, NULL, arguments, environ) == 0)
            _exit(waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 1);
        break;
    case WAYS:
        break;
    }
    _exit(errno);
}

/* What the child writes, to either of its outputs, in said. Returns its status. */
static int output_of(enum way way, const char *path, char *said, size_t room)
{
    int ends[2], status;
    size_t length = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        start(way, path);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + length, room - 1 - length)) > 0;)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect(const char *name, const char *preload)
{
    char path[PATH_MAX], said[4096], wanted[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(access(path, X_OK), 0);
    snprintf(wanted, sizeof(wanted), "%s word\n", preload);
    for (enum way way = 0; way < WAYS; way++) {
        int status = output_of(way, path, said, sizeof(said));
        if (strcmp(said, wanted) != 0 || status != 0)
            fail_msg("%s, way %d: status %d, said '%s', not '%s'", name, (int)way, status, said, wanted);
    }
}

static void preload(const char *list)
{
    assert_int_equal(setenv("LD_PRELOAD", list, 1), 0);
}

/* The list without, before and behind another library, and what is to be left of it. */
static void expect_left_out(const char *name, const char *library)
{
    char list[PATH_MAX + 64];
    preload(library);
    expect(name, "none");
    snprintf(list, sizeof(list), "%s:" OTHER, library);
    preload(list);
    expect(name, OTHER);
    snprintf(list, sizeof(list), " " OTHER " %s ", library);
    preload(list);
    expect(name, OTHER);
    preload(library);
}

static void a_plain_program_gets_it(void **state)
{
    expect("preload-child", *state);
}

static void a_program_of_another_libc_does_not(void **state)
{
    expect_left_out("preload-child-musl", *state);
}

static void a_script_gets_what_its_interpreter_can_bear(void **state)
{
    char path[PATH_MAX], text[2 * PATH_MAX];
    static const char *const children[] = {"preload-child", "preload-child-musl"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/preload-script-%d", folder, i);
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
        int length = snprintf(text, sizeof(text), "#! %s/%s argument\n", folder, children[i]);
        assert_int_equal(write(fd, text, (size_t)length), length);
        close(fd);
        char said[4096], wanted[PATH_MAX + 8];
        snprintf(wanted, sizeof(wanted), "%s word\n", i == 0 ? (const char *)*state : "none");
        assert_int_equal(output_of(EXECVE, path, said, sizeof(said)), 0);
        assert_string_equal(said, wanted);
        assert_int_equal(output_of(SPAWNP, path, said, sizeof(said)), 0);
        assert_string_equal(said, wanted);
        unlink(path);
    }
}

static void a_program_with_address_sanitizer_does_not(void **state)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/preload-child-asan", folder);
    if (access(path, X_OK) != 0)
        skip(); /* this compiler has no such library */
    expect("preload-child-asan", "none");
    (void)state;
}

static void a_name_that_is_nowhere_is_enoent(void **state)
{
    (void)state;
    char name[] = "hqq-no-such-program", *arguments[] = {name, NULL};
    pid_t pid;
    assert_int_equal(execvp(name, arguments), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(posix_spawnp(&pid, name, NULL, NULL, arguments, environ), ENOENT);
    assert_int_equal(execve("/", arguments, environ), -1);
    assert_int_equal(errno, EACCES);
}

int main(int argc, char **argv)
{
    char *library = getenv("LD_PRELOAD"), path[PATH_MAX];
    if (argc != 2 || !library)
        return 1;
    folder = argv[1];
    library = strdup(library);
    snprintf(path, sizeof(path), "/nowhere::%s:%s", folder, getenv("PATH"));
    setenv("PATH", path, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_plain_program_gets_it, library),
        cmocka_unit_test_prestate(a_program_of_another_libc_does_not, library),
        cmocka_unit_test_prestate(a_script_gets_what_its_interpreter_can_bear, library),
        cmocka_unit_test_prestate(a_program_with_address_sanitizer_does_not, library),
        cmocka_unit_test_prestate(a_name_that_is_nowhere_is_enoent, library),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(library);
    return failed;
}
