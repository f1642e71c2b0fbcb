/* The actors of one way, and asking them. */
#include "differential/differential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 4000

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "differential: %s: %s\n", what, strerror(errno));
    exit(3);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------- */

static void execute(const struct troupe *troupe, int number)
{
    char numbers[2][16], after[16], paths[160];
    snprintf(numbers[0], sizeof(numbers[0]), "%d", troupe->memory);
    snprintf(numbers[1], sizeof(numbers[1]), "%d", number);
    snprintf(after, sizeof(after), "%d", troupe->link_after);
    snprintf(paths, sizeof(paths), "%s/*:@%s*", troupe->folder, troupe->folder + strlen("/tmp/"));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(troupe->memory, F_SETFD, 0);
    unsetenv("LD_PRELOAD");
    if (troupe->preload && number != PLAIN) {
        setenv("LD_PRELOAD", troupe->preload, 1);
        setenv("HQQ_PATHS", paths, 1);
        setenv("HQQ_POLLING", troupe->polling, 1);
        setenv("HQQ_LINK_AFTER", after, 1);
        setenv("HQQ_REPORT", troupe->report, 1);
    }
    if (chdir(troupe->folder) == 0)
        execl("/proc/self/exe", "differential", "--act", numbers[0], numbers[1], (char *)NULL);
    _exit(3);
}

static void empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    if (!folder)
        return;
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

static void start(struct troupe *troupe, int actor)
{
    pid_t child = fork();
    if (child == 0)
        execute(troupe, actor);
    if (child < 0)
        give_up("fork");
    int64_t until = now_ms() + PATIENCE_MS;
    while (atomic_load(&troupe->stage->box[actor].pid) == 0 && now_ms() < until)
        usleep(50);
    if (atomic_load(&troupe->stage->box[actor].pid) == 0)
        give_up("an actor does not begin");
}

void troupe_begin(struct troupe *troupe, int actors, const char *polling, int link_after)
{
    mkdir(troupe->folder, 0700);
    empty_folder(troupe->folder);
    if (!troupe->stage) {
        troupe->memory = memfd_create("stage", MFD_CLOEXEC);
        if (troupe->memory < 0 || ftruncate(troupe->memory, sizeof(*troupe->stage)) != 0)
            give_up("memfd");
        troupe->stage = mmap(NULL, sizeof(*troupe->stage), PROT_READ | PROT_WRITE, MAP_SHARED, troupe->memory, 0);
        if (troupe->stage == MAP_FAILED)
            give_up("mmap");
    }
    memset(troupe->stage, 0, sizeof(*troupe->stage));
    snprintf(troupe->stage->folder, sizeof(troupe->stage->folder), "%s", troupe->folder);
    troupe->polling = polling;
    troupe->link_after = link_after;
    for (int i = 0; i < actors; i++)
        start(troupe, i);
}

/* It is gone for good, whoever its parent is. */
static void end_actor(struct box *box)
{
    pid_t pid = box->pid;
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && (errno == EINTR || errno == ECHILD)) {
        if (errno == ECHILD && kill(pid, 0) != 0)
            break;
        usleep(100);
    }
}

void troupe_restart(struct troupe *troupe, int actor)
{
    struct box *box = &troupe->stage->box[actor];
    end_actor(box);
    memset(box, 0, sizeof(*box));
    start(troupe, actor);
}

void troupe_end(struct troupe *troupe)
{
    for (int i = 0; i < ACTORS; i++) {
        if (troupe->stage->box[i].pid > 0)
            kill(troupe->stage->box[i].pid, SIGKILL);
    }
    for (int i = 0; i < ACTORS; i++)
        end_actor(&troupe->stage->box[i]);
    empty_folder(troupe->folder);
    rmdir(troupe->folder);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static bool await(struct box *box, int patience_ms)
{
    int64_t until = now_ms() + patience_ms;
    while (atomic_load(&box->state) == BOX_ASKED) {
        int64_t left = until - now_ms();
        if (left <= 0)
            return false;
        struct timespec time = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        syscall(SYS_futex, &box->state, FUTEX_WAIT, BOX_ASKED, &time, NULL, 0);
    }
    return true;
}

static struct box *ask(struct troupe *troupe, const struct step *step)
{
    struct box *box = &troupe->stage->box[step->actor];
    box->step = *step;
    atomic_store(&box->state, BOX_ASKED);
    syscall(SYS_futex, &box->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return box;
}

const struct result *troupe_answer(struct troupe *troupe, int actor)
{
    struct box *box = &troupe->stage->box[actor];
    return await(box, PATIENCE_MS) ? &box->result : NULL;
}

void troupe_ask(struct troupe *troupe, const struct step *step)
{
    ask(troupe, step);
}

/* Of /proc: the number of the system call that it is in, or "running". */
static bool is_asleep(pid_t process)
{
    char path[64], text[64];
    snprintf(path, sizeof(path), "/proc/%d/syscall", (int)process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    char *end;
    long number = strtol(text, &end, 10);
    return end != text && number >= 0 && number != SYS_futex;
}

void troupe_ask_asleep(struct troupe *troupe, const struct step *step)
{
    struct box *box = ask(troupe, step);
    int64_t until = now_ms() + PATIENCE_MS;
    while (atomic_load(&box->state) == BOX_ASKED && now_ms() < until &&
           !(atomic_load(&box->is_inside) && is_asleep(box->pid)))
        usleep(20);
}

bool troupe_is_over(struct troupe *troupe, int actor, int patience_ms)
{
    return await(&troupe->stage->box[actor], patience_ms);
}

bool troupe_sleeps(const struct troupe *troupe, int actor)
{
    for (int i = 0; i < 2; i++) {
        if (!is_asleep(troupe->stage->box[actor].pid))
            return false;
        usleep(300);
    }
    return true;
}

void troupe_interrupt(struct troupe *troupe, int actor)
{
    kill(troupe->stage->box[actor].pid, SIGUSR1);
}
