#include "tools/sockets/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"

#define PLAIN "-" /* in the place of a preload */

/* Turns between the set-up of a crowd and what counts: a lap of the rings, where there are any. */
#define SETTLE_SHORT 4
#define SETTLE_LAP 260

#define QUICK_PART 10 /* of the sockets */

/* ---- In the process that is started ---------------------------------------------------------------------------- */

/* A loader that does not find a preload goes on without it. */
static void check_preload(const char *preload)
{
    char line[PATH_MAX + 128];
    bool is_there = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        is_there |= strstr(line, preload) != NULL;
    if (maps)
        fclose(maps);
    if (!is_there)
        machine_fail_plainly("the preload was not loaded");
}

static uint32_t part_of(uint32_t count, uint32_t part)
{
    return count > part ? count / part : count;
}

/* ROW FOLDER WARM-NS DURATION-NS PART */
static struct scene_run take_run(char **arguments)
{
    static struct scene scene;
    uint32_t part = (uint32_t)strtoul(arguments[4], NULL, 10);
    const struct row *row = row_find(arguments[0]);
    if (row)
        scene = row->scene;
    else
        machine_fail_plainly("no such row");
    scene.sockets = part_of(scene.sockets, part);
    scene.clients = part_of(scene.clients, part);
    return (struct scene_run){
        .scene = &scene,
        .row = arguments[0],
        .folder = arguments[1],
        .warm_ns = strtoull(arguments[2], NULL, 10),
        .duration_ns = strtoull(arguments[3], NULL, 10),
    };
}

/* As above, then SETTLE RESULTS PRELOAD */
static int play_side(char **arguments)
{
    struct scene_run run = take_run(arguments);
    int results = atoi(arguments[6]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    machine_fail_as_group();
    fcntl(results, F_SETFD, FD_CLOEXEC);
    if (strcmp(arguments[7], PLAIN) != 0)
        check_preload(arguments[7]);
    if (!row_takes_its_descriptors(row_find(run.row)))
        machine_fail("descriptors");
    run.settle = (uint32_t)strtoul(arguments[5], NULL, 10);
    run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.shared == MAP_FAILED)
        machine_fail("mmap");
    run.scene->play(&run);
    if (write(results, &run.shared->result, sizeof(run.shared->result)) != sizeof(run.shared->result))
        machine_fail("write");
    return 0;
}

static int play_sender(char **arguments)
{
    struct scene_run run = take_run(arguments);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    machine_fail_as_group();
    if (getenv("LD_PRELOAD"))
        machine_fail_plainly("the plain sender is preloaded");
    return scene_sender(&run);
}

int run_started(int argc, char **argv)
{
    if (argc == 10 && strcmp(argv[1], "side") == 0)
        return play_side(argv + 2);
    if (argc == 7 && strcmp(argv[1], "sender") == 0)
        return play_sender(argv + 2);
    if (argc == 6 && strcmp(argv[1], "once") == 0)
        return scene_once(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), (uint32_t)strtoul(argv[4], NULL, 10),
                          strcmp(argv[5], "last") == 0);
    return -1;
}

/* ---- In the process that starts it ----------------------------------------------------------------------------- */

static void clean_up(const char *folder)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;
    while (listing && (entry = readdir(listing)))
        unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
    rmdir(folder);
}

/* Reads until the end of the stream, so many bytes at most; how many, or -1: not within that time. */
static ssize_t read_in_time(int fd, void *data, size_t bytes, uint64_t timeout_s)
{
    uint64_t until = perf_now_ns() + timeout_s * PERF_NS_PER_S;
    size_t got = 0;
    while (got < bytes) {
        uint64_t now = perf_now_ns();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int timeout = now < until ? (int)((until - now) / PERF_NS_PER_MS) + 1 : 0;
        if (poll(&ready, 1, timeout) == 0)
            return -1;
        ssize_t more = read(fd, (char *)data + got, bytes - got);
        if (more == 0 || (more < 0 && errno != EINTR))
            break;
        got += more > 0 ? (size_t)more : 0;
    }
    return (ssize_t)got;
}

/* The end of a run: of the process, and of all that it has started. True if it ended well. */
static bool end(pid_t child, bool is_late)
{
    int status = 1;
    if (is_late)
        kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-child, SIGKILL); /* whoever outlived it */
    return status == 0;
}

static uint64_t duration_ms_of(const struct options *options, const struct scene *scene)
{
    bool is_raised = !options->quick && scene->least_ms > options->duration_ms;
    return is_raised ? scene->least_ms : options->duration_ms;
}

static _Noreturn void become_side(const struct options *options, const struct row *row, const char *preload,
                                  const char *folder, int results)
{
    char warm[24], duration[24], part[16], settle[16], descriptor[16];
    uint64_t warm_ns = options->warm_ms * PERF_NS_PER_MS;
    uint64_t duration_ns = duration_ms_of(options, &row->scene) * PERF_NS_PER_MS;
    snprintf(warm, sizeof(warm), "%" PRIu64, warm_ns);
    snprintf(duration, sizeof(duration), "%" PRIu64, duration_ns);
    snprintf(part, sizeof(part), "%d", options->quick ? QUICK_PART : 1);
    snprintf(settle, sizeof(settle), "%d", preload && !options->quick ? SETTLE_LAP : SETTLE_SHORT);
    snprintf(descriptor, sizeof(descriptor), "%d", results);
    setpgid(0, 0);
    if (preload) {
        setenv("LD_PRELOAD", preload, 1);
        setenv("HQQ_PATHS", "/tmp/hqq-perf-*", 1);
    }
    if (!preload || row->scene.has_no_paths)
        unsetenv("HQQ_PATHS");
    execl("/proc/self/exe", "hqq-perf-sockets", "side", row->name, folder, warm, duration, part, settle, descriptor,
          preload ? preload : PLAIN, (char *)NULL);
    _exit(127);
}

bool run_row(const struct options *options, const struct row *row, bool is_preloaded, struct scene_result *ret_result)
{
    char folder[] = "/tmp/hqq-perf-XXXXXX";
    int results[2];
    if (!mkdtemp(folder) || pipe2(results, O_CLOEXEC) != 0)
        machine_fail("a scratch folder");
    pid_t child = fork();
    if (child == 0) {
        fcntl(results[1], F_SETFD, 0);
        become_side(options, row, is_preloaded ? options->preload : NULL, folder, results[1]);
    }
    close(results[1]);
    ssize_t got = read_in_time(results[0], ret_result, sizeof(*ret_result), options->timeout_s);
    close(results[0]);
    bool is_good = end(child, got < 0) && got == sizeof(*ret_result);
    clean_up(folder);
    if (!is_good)
        fprintf(stderr, "hqq-perf-sockets: %s: a %s run %s\n", row->name, is_preloaded ? "preloaded" : "plain",
                got < 0 ? "stalled" : "failed");
    return is_good;
}

/* ---- A bare link ----------------------------------------------------------------------------------------------- */

#define CSV_BYTES 8192
#define CSV_NS_FIELD 8

static const char *link_program(void)
{
    static char path[PATH_MAX + 16];
    char self[PATH_MAX] = "";
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        machine_fail("/proc/self/exe");
    snprintf(path, sizeof(path), "%s/hqq-perf", dirname(self));
    return path;
}

bool run_has_link(void)
{
    return access(link_program(), X_OK) == 0;
}

/* The field of the second line, of the names that the first line has. */
static double find_ns(char *csv)
{
    char *line = strchr(csv, '\n'), *rest = line, *field = NULL;
    if (!line)
        return 0;
    for (unsigned i = 0; i <= CSV_NS_FIELD; i++)
        field = strsep(&rest, ",");
    return field ? strtod(field, NULL) : 0;
}

static _Noreturn void become_link(const struct options *options, const char *kind, uint32_t bytes, int output)
{
    char size[16], duration[24];
    snprintf(size, sizeof(size), "%u", bytes);
    snprintf(duration, sizeof(duration), "%llu", (unsigned long long)options->duration_ms);
    setpgid(0, 0);
    dup2(output, STDOUT_FILENO);
    execl(link_program(), "hqq-perf", "-t", "hqq", "-m", "spin", "-k", kind, "-s", size, "-r", "1", "--extra=0", "-d",
          duration, "--csv=-", (char *)NULL);
    _exit(127);
}

bool run_link(const struct options *options, const char *kind, uint32_t bytes, double *ret_ns)
{
    char csv[CSV_BYTES] = "";
    int output[2];
    if (pipe2(output, O_CLOEXEC) != 0)
        machine_fail("pipe");
    pid_t child = fork();
    if (child == 0)
        become_link(options, kind, bytes, output[1]);
    close(output[1]);
    ssize_t got = read_in_time(output[0], csv, sizeof(csv) - 1, options->timeout_s);
    close(output[0]);
    *ret_ns = end(child, got < 0) && got > 0 ? find_ns(csv) : 0;
    if (*ret_ns <= 0)
        fprintf(stderr, "hqq-perf-sockets: a run of hqq-perf failed\n");
    return *ret_ns > 0;
}
