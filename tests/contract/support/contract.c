#include "support/contract.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/ticker.h"

#define PATIENCE_S 60
#define OWN_MAX 4096
#define REMOTE_MAX 16

static const struct contract_case *current;
static char folder[PATH_MAX];
static int owned[OWN_MAX];
static int owned_count;
static struct remote remotes[REMOTE_MAX];
static int remote_count;

/* ---- Descriptors ----------------------------------------------------------------------------------------------- */

int own(int fd)
{
    if (fd < 0)
        fail_msg("no descriptor: %s", strerrorname_np(errno));
    assert_in_range(owned_count, 0, OWN_MAX - 1);
    owned[owned_count++] = fd;
    return fd;
}

void disown(int fd)
{
    for (int i = 0; i < owned_count; i++) {
        if (owned[i] == fd) {
            owned[i] = owned[--owned_count];
            return;
        }
    }
    fail_msg("descriptor %d is not an own one", fd);
}

void let_go(int fd)
{
    disown(fd);
    assert_result(close(fd), 0);
}

/* ---- Folder ---------------------------------------------------------------------------------------------------- */

const char *contract_folder(void)
{
    return folder;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/hqq.XXXXXX", parent && parent[0] == '/' ? parent : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

/* ---- Processes ------------------------------------------------------------------------------------------------- */

struct remote *contract_another_remote(enum remote_kind kind)
{
    if (kind == REMOTE_PLAIN && !remote_plain_exists())
        skip();
    assert_in_range(remote_count, 0, REMOTE_MAX - 1);
    assert_int_equal(remote_start(&remotes[remote_count], kind), 0);
    return &remotes[remote_count++];
}

struct remote *contract_remote(void)
{
    if (remote_count > 0)
        return &remotes[0];
    return contract_another_remote(current->variant == CONTRACT_PLAIN ? REMOTE_PLAIN : REMOTE_FORK);
}

void contract_end_remote(struct remote *remote)
{
    remote_end(remote);
}

struct remote *contract_far(void)
{
    return current->variant == CONTRACT_AWAY || current->variant == CONTRACT_PLAIN ? contract_remote() : NULL;
}

/* ---- Watchdog -------------------------------------------------------------------------------------------------- */

/* Children die with this process. */
static void give_up(int number)
{
    (void)number;
    static const char text[] = "\n[  HANGS   ] ";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    if (current)
        ignored = write(STDERR_FILENO, current->name, strlen(current->name));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    _exit(1);
}

/* ---- Tests ----------------------------------------------------------------------------------------------------- */

enum contract_variant contract_variant(void)
{
    return current->variant;
}

bool contract_may_have_links(void)
{
    return getenv("HQQ_PATHS") != NULL;
}

void contract_let_names_settle(void)
{
    const struct timespec while_ns = {.tv_nsec = 1000000};
    if (contract_may_have_links())
        nanosleep(&while_ns, NULL);
}

bool contract_is_limit(const char *limit)
{
    if (!contract_may_have_links() || contract_variant() == CONTRACT_FRESH)
        return false;
    print_message("limit: %s\n", limit);
    return true;
}

bool contract_is_limit_of_renaming(const char *limit)
{
    if (!contract_may_have_links() || getenv("LD_PRELOAD"))
        return false;
    print_message("limit: %s\n", limit);
    return true;
}

int contract_set_up(void **state)
{
    current = *state;
    owned_count = 0;
    remote_count = 0;
    signal(SIGALRM, give_up);
    alarm(PATIENCE_S);
    if (make_folder() != 0)
        return -1;
    return 0;
}

int contract_tear_down(void **state)
{
    (void)state;
    ticker_end();
    tasks_end();
    for (int i = 0; i < remote_count; i++)
        remote_end(&remotes[i]);
    for (int i = 0; i < owned_count; i++)
        close(owned[i]);
    int failed = chdir("/");
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    alarm(0);
    return failed;
}

int contract_run(const struct contract_suite *const *suites, size_t count, int argc, char **argv)
{
    int failed = 0;
    remote_serve(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    for (size_t i = 0; i < count; i++)
        failed += _cmocka_run_group_tests(suites[i]->name, suites[i]->tests, suites[i]->count, NULL, NULL);
    return failed;
}
