/*
 *      differential --preload=LIBRARY [--steps=N | --seconds=N] [--seed=N] [--queue=N]
 *          [--keep-going]
 *      differential --preload=LIBRARY --only=SEED | --replay=FILE... [--verbose]
 * is the driver. It fails at the first difference, with a sequence that is as short as it could make it, which --replay
 * takes; and if hardly anything took the rings.
 */
#include "differential/differential.h"
#include "runtime/counters.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CASE_STEPS 400
#define STEPS_MAX 8192
#define SHORTENING_S 40
#define REPLAYS 5 /* of what is recorded */

static struct troupe plain, preloaded;
static struct model model;
static struct generator generator;
static struct {
    uint64_t steps, cases, cut, ring, kernel, asleep;
} figures;

/* How a sequence is run: of its seed. */
struct setting {
    int actors, link_after, cpus;
    const char *polling;
    uint64_t seed;
};

struct sequence {
    struct setting setting;
    int count;
    struct step step[STEPS_MAX];
};

static int unread_limit = 10;
static bool is_verbose;

/* ---- One sequence ------------------------------------------------------------------------------------------------ */

struct difference {
    int at; /* step; -1: none */
    char plain[512], preloaded[512];
};

static void show(const struct step *step, const struct result *one, const struct result *other)
{
    char text[256], answers[2][512];
    step_print(step, text, sizeof(text));
    result_print(step, one, answers[0], sizeof(answers[0]));
    result_print(step, other, answers[1], sizeof(answers[1]));
    printf("%5u %-64s %s%s%s\n", step->stamp, text, answers[0], strcmp(answers[0], answers[1]) ? "  |  " : "",
           strcmp(answers[0], answers[1]) ? answers[1] : "");
}

static bool is_same(const struct step *step, const struct result *one, const struct result *other,
                    struct difference *ret_difference)
{
    if (one && other && memcmp(one, other, sizeof(*one)) == 0)
        return true;
    result_print(step, one, ret_difference->plain, sizeof(ret_difference->plain));
    result_print(step, other, ret_difference->preloaded, sizeof(ret_difference->preloaded));
    ret_difference->at = (int)step->stamp;
    return false;
}

/* False: the sequence cannot go on. */
static bool compare(const struct step *step, bool is_interrupted, const struct result *one, const struct result *other,
                    struct difference *difference)
{
    if (is_verbose)
        show(step, one, other);
    if (!one || !other)
        return is_same(step, one, other, difference);
    if (!model_can_compare(step, is_interrupted, one, other)) {
        figures.cut++;
        return false;
    }
    model_note(&model, step, one);
    return is_same(step, one, other, difference);
}

/* Nothing has woken it: by then it is asleep still, in both of two looks. */
static void interrupt_if_asleep(struct troupe *troupe, int actor)
{
    for (int i = 0; i < 2000 && !troupe_is_over(troupe, actor, 2); i++) {
        if (troupe_sleeps(troupe, actor))
            troupe_interrupt(troupe, actor);
    }
}

/* Should the plain one wait for what never comes, which the model did not foresee, both are interrupted. */
static bool perform(const struct step *step, struct difference *difference)
{
    if (model_wants_pause(&model, step))
        usleep(3000);
    if (step->kind == STEP_restart) {
        troupe_restart(&plain, step->actor);
        troupe_restart(&preloaded, step->actor);
    }
    troupe_ask(&plain, step);
    bool is_stuck = !troupe_is_over(&plain, step->actor, 30) && troupe_sleeps(&plain, step->actor);
    if (is_stuck)
        interrupt_if_asleep(&plain, step->actor);
    const struct result *one = troupe_answer(&plain, step->actor);
    if (!one)
        return compare(step, is_stuck, one, NULL, difference);
    troupe_ask(&preloaded, step);
    if (is_stuck)
        interrupt_if_asleep(&preloaded, step->actor);
    return compare(step, is_stuck, one, troupe_answer(&preloaded, step->actor), difference);
}

/* A call that sleeps, and what another actor does meanwhile. */
static bool perform_asleep(const struct step *sleeper, const struct step *next, struct difference *difference)
{
    figures.asleep++;
    troupe_ask_asleep(&plain, sleeper);
    troupe_ask_asleep(&preloaded, sleeper);
    bool has_next = next && next->actor != sleeper->actor && model_allows(&model, next) && !next->is_asleep;
    if (has_next && sleeper->kind == STEP_epollwait && next->kind == STEP_sendmmsg)
        has_next = false; /* it may be woken before the last of them: one edge or two */
    bool goes_on = true;
    if (has_next)
        goes_on = perform(next, difference);
    if (!goes_on)
        return false;
    bool was_woken = troupe_is_over(&plain, sleeper->actor, 1) || !troupe_sleeps(&plain, sleeper->actor);
    if (!was_woken)
        interrupt_if_asleep(&plain, sleeper->actor);
    const struct result *one = troupe_answer(&plain, sleeper->actor);
    if (!was_woken)
        interrupt_if_asleep(&preloaded, sleeper->actor);
    return compare(sleeper, !was_woken, one, troupe_answer(&preloaded, sleeper->actor), difference);
}

static void use_cpus(int cpus)
{
    static cpu_set_t all;
    if (CPU_COUNT(&all) == 0)
        sched_getaffinity(0, sizeof(all), &all);
    cpu_set_t some = all;
    int cpu = sched_getcpu();
    if (cpus == 1 && cpu >= 0) {
        CPU_ZERO(&some);
        CPU_SET((size_t)cpu, &some);
    }
    sched_setaffinity(0, sizeof(some), &some);
}

/* Runs what is given, or generates it; stops at a difference. Steps that the model does not allow are left out. */
static void run(struct sequence *sequence, bool is_new, struct difference *ret_difference)
{
    const struct setting *setting = &sequence->setting;
    struct step step, next;
    ret_difference->at = -1;
    use_cpus(setting->cpus);
    troupe_begin(&plain, setting->actors, NULL, 0);
    troupe_begin(&preloaded, setting->actors, setting->polling, setting->link_after);
    model_begin(&model, setting->actors, unread_limit);
    if (is_new) {
        random_seed(setting->seed);
        generate_begin(&generator, &model, setting->actors);
        sequence->count = 0;
    }
    for (int i = 0; i < (is_new ? CASE_STEPS : sequence->count); i++) {
        if (is_new)
            generate_next(&generator, &sequence->step[sequence->count++]);
        step = sequence->step[i];
        step.stamp = (uint32_t)i + 1;
        if (!model_allows(&model, &step))
            continue;
        figures.steps++;
        if (step.is_asleep) {
            if (is_new)
                generate_next(&generator, &sequence->step[sequence->count++]);
            bool has_next = ++i < sequence->count;
            if (has_next) {
                next = sequence->step[i];
                next.stamp = (uint32_t)i + 1;
            }
            if (!perform_asleep(&step, has_next ? &next : NULL, ret_difference))
                break;
        } else if (!perform(&step, ret_difference)) {
            break;
        }
    }
    troupe_end(&plain);
    troupe_end(&preloaded);
}

/* ---- Making it short --------------------------------------------------------------------------------------------- */

static bool differs(struct sequence *sequence, int tries, struct difference *ret_difference)
{
    for (int i = 0; i < tries; i++) {
        run(sequence, false, ret_difference);
        if (ret_difference->at >= 0)
            return true;
    }
    return false;
}

static void print_sequence(const struct sequence *sequence)
{
    char text[256];
    printf("# actors=%d link_after=%d cpus=%d polling=%s seed=%llu\n", sequence->setting.actors,
           sequence->setting.link_after, sequence->setting.cpus, sequence->setting.polling,
           (unsigned long long)sequence->setting.seed);
    for (int i = 0; i < sequence->count; i++) {
        step_print(&sequence->step[i], text, sizeof(text));
        printf("%s\n", text);
    }
    fflush(stdout);
}

static void make_short(struct sequence *sequence, int tries)
{
    static struct sequence shorter;
    struct difference difference;
    time_t until = time(NULL) + SHORTENING_S;
    for (int chunk = sequence->count / 2; chunk > 0; chunk = chunk > 1 && chunk < 4 ? 1 : chunk / 2) {
        bool has_changed;
        do {
            has_changed = false;
            for (int at = sequence->count - chunk; at >= 0 && time(NULL) < until; at -= chunk) {
                shorter = *sequence;
                memmove(&shorter.step[at], &shorter.step[at + chunk],
                        sizeof(shorter.step[0]) * (size_t)(shorter.count - at - chunk));
                shorter.count -= chunk;
                if (differs(&shorter, tries, &difference)) {
                    shorter.count = difference.at < shorter.count ? difference.at : shorter.count;
                    *sequence = shorter;
                    has_changed = true;
                    at = at > sequence->count ? sequence->count : at;
                }
            }
        } while (has_changed && chunk <= 2);
    }
}

static void report(struct sequence *sequence, const struct difference *difference)
{
    struct difference again;
    char text[256];
    step_print(&sequence->step[difference->at - 1], text, sizeof(text));
    printf("FAIL  differential: seed %llu, step %d: %s\n      plain:     %s\n      preloaded: %s\n",
           (unsigned long long)sequence->setting.seed, difference->at, text, difference->plain, difference->preloaded);
    fflush(stdout);
    bool was_verbose = is_verbose;
    is_verbose = false;
    sequence->count = difference->at < sequence->count ? difference->at + 1 : sequence->count;
    int seen = 0;
    for (int i = 0; i < 10; i++) {
        run(sequence, false, &again);
        seen += again.at >= 0;
    }
    printf("%d of 10 runs differ\n", seen);
    if (seen > 0)
        make_short(sequence, seen >= 10 ? 1 : seen >= 8 ? 2 : seen >= 4 ? 6 : 20);
    print_sequence(sequence);
    if (seen > 0 && differs(sequence, 40, &again)) {
        step_print(&sequence->step[again.at - 1], text, sizeof(text));
        printf("      step %d: %s\n      plain:     %s\n      preloaded: %s\n", again.at, text, again.plain,
               again.preloaded);
    }
    is_verbose = was_verbose;
}

/* ---- Rings ------------------------------------------------------------------------------------------------------- */

static void count_ring(int fd)
{
    struct hqq_counters_head *head = mmap(NULL, sizeof(*head), PROT_READ, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED)
        return;
    for (int i = 0; i < 64; i++) {
        figures.ring += hqq_load_relaxed(&head->entry[i].sent_ring);
        figures.kernel += hqq_load_relaxed(&head->entry[i].sent_kernel);
    }
    munmap(head, sizeof(*head));
}

static void count_rings(void)
{
    DIR *folder = opendir(preloaded.report);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        int fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC);
        count_ring(fd);
        close(fd);
        unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder)
        closedir(folder);
}

/* ---- The driver -------------------------------------------------------------------------------------------------- */

static struct sequence sequence;

/* How much. */
struct extent {
    uint64_t steps, seconds;
    bool is_one, goes_on;
    int queue; /* datagrams; 0: as it is */
};

static struct setting setting_of(uint64_t seed)
{
    random_seed(seed ^ UINT64_C(0x5bd1e995));
    struct setting setting = {.seed = seed, .polling = below(6) ? "always" : "auto"};
    setting.actors = below(3) ? 2 : 3;
    setting.link_after = below(2) ? 0 : (int)below(5);
    setting.cpus = below(8) ? 1 : 2;
    return setting;
}

static bool load(const char *path)
{
    sequence.count = 0;
    char line[256];
    unsigned long long seed = 0;
    static char polling[16] = "always";
    sequence.setting = (struct setting){.actors = 2, .link_after = 0, .cpus = 1, .polling = polling};
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file) && sequence.count < STEPS_MAX) {
        if (sscanf(line, "# actors=%d link_after=%d cpus=%d polling=%15s seed=%llu", &sequence.setting.actors,
                   &sequence.setting.link_after, &sequence.setting.cpus, polling, &seed) > 0)
            continue;
        if (line[0] < 'A' || line[0] > 'Z') /* comments, and what stands around a sequence in a report */
            continue;
        if (!step_parse(line, &sequence.step[sequence.count++]))
            return false;
    }
    if (file)
        fclose(file);
    return file && sequence.count > 0;
}

static void make_folders(char *base)
{
    if (!mkdtemp(base)) {
        perror(base);
        exit(3);
    }
    snprintf(plain.folder, sizeof(plain.folder), "%s/n", base);
    snprintf(preloaded.folder, sizeof(preloaded.folder), "%s/p", base);
    snprintf(preloaded.report, sizeof(preloaded.report), "%s/r", base);
    mkdir(preloaded.report, 0700);
}

/* Longer queues than usual, in a network namespace of our own, where that may be had. */
static void lengthen_queues(int length)
{
    if (length == 0 || unshare(CLONE_NEWNET) != 0)
        return;
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "we");
    if (file) {
        fprintf(file, "%d\n", length);
        fclose(file);
    }
}

static void read_limit(void)
{
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
    if (file && fscanf(file, "%d", &unread_limit) != 1)
        unread_limit = 10;
    if (file)
        fclose(file);
    unread_limit = unread_limit > 64 ? 64 : unread_limit;
}

static void act(int memory, int number)
{
    struct stage *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    close(memory);
    if (shared == MAP_FAILED)
        _exit(3);
    actor_run(shared, number);
}

/* One that is recorded, as often as it takes for what hangs on time as well. */
static int replay(const char *path)
{
    struct difference difference;
    if (!load(path)) {
        fprintf(stderr, "differential: %s: no steps\n", path);
        return 2;
    }
    if (!differs(&sequence, is_verbose ? 1 : REPLAYS, &difference))
        return 0;
    printf("%s:\n", path);
    report(&sequence, &difference);
    return 1;
}

static int run_random(uint64_t seed, const struct extent *extent)
{
    struct difference difference;
    int status = 0;
    time_t until = extent->seconds ? time(NULL) + (time_t)extent->seconds : 0;
    for (uint64_t i = 0; extent->is_one ? i == 0 : until ? time(NULL) < until : figures.steps < extent->steps; i++) {
        sequence.setting = setting_of(seed + i);
        run(&sequence, true, &difference);
        figures.cases++;
        count_rings();
        if (difference.at >= 0) {
            report(&sequence, &difference);
            count_rings();
            status = 1;
            if (!extent->goes_on)
                return 1;
        }
    }
    if (!extent->is_one && figures.ring * 8 < figures.kernel) {
        printf("FAIL  differential: hardly anything took the rings\n");
        status = 1;
    }
    return status;
}

static bool parse_extent(const char *text, struct extent *extent, uint64_t *seed)
{
    if (strncmp(text, "--steps=", 8) == 0)
        extent->steps = strtoull(text + 8, NULL, 10);
    else if (strncmp(text, "--seconds=", 10) == 0)
        extent->seconds = strtoull(text + 10, NULL, 10);
    else if (strncmp(text, "--seed=", 7) == 0)
        *seed = strtoull(text + 7, NULL, 10);
    else if (strncmp(text, "--only=", 7) == 0)
        extent->is_one = (*seed = strtoull(text + 7, NULL, 10)) != 0;
    else if (strncmp(text, "--queue=", 8) == 0)
        extent->queue = atoi(text + 8);
    else if (strcmp(text, "--keep-going") == 0)
        extent->goes_on = true;
    else if (strcmp(text, "--verbose") == 0)
        is_verbose = true;
    else
        return false;
    return true;
}

static void print_figures(void)
{
    printf(
        "%llu steps of %llu sequences, %llu of them not compared to their end; %llu calls that slept; datagrams sent "
        "by ring %llu, by kernel %llu\n",
        (unsigned long long)figures.steps, (unsigned long long)figures.cases, (unsigned long long)figures.cut,
        (unsigned long long)figures.asleep, (unsigned long long)figures.ring, (unsigned long long)figures.kernel);
}

int main(int argc, char **argv)
{
    struct extent extent = {.steps = 100000};
    uint64_t seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    char base[] = "/tmp/hqq-differential-XXXXXX";
    bool has_replay = false;
    if (argc == 4 && strcmp(argv[1], "--act") == 0)
        act(atoi(argv[2]), atoi(argv[3]));
    for (int i = 1; i < argc; i++) {
        bool is_replay = strncmp(argv[i], "--replay=", 9) == 0;
        has_replay = has_replay || is_replay;
        if (strncmp(argv[i], "--preload=", 10) == 0)
            preloaded.preload = argv[i] + 10;
        else if (!is_replay && !parse_extent(argv[i], &extent, &seed))
            return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    lengthen_queues(extent.queue);
    read_limit();
    make_folders(base);
    int status = 0;
    for (int i = 1; i < argc && has_replay; i++) {
        if (strncmp(argv[i], "--replay=", 9) == 0 && status == 0)
            status = replay(argv[i] + 9);
    }
    if (!has_replay) {
        printf("differential: seed %llu\n", (unsigned long long)seed);
        status = run_random(seed, &extent);
    }
    count_rings();
    print_figures();
    rmdir(preloaded.report);
    rmdir(base);
    return status;
}
