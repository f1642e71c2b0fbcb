/* Which rows are run: those that were asked for, and that this machine and this user allow. */
#include "tools/sockets/rows.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/sockets/machine.h"

/* Beside the sockets that a scene names, and one more for each of them. */
#define SPARE_DESCRIPTORS 1024

const struct row *row_find(const char *name)
{
    for (size_t i = 0; i < row_count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

bool row_is_chosen(const struct row *row, const char *list)
{
    char item[64];
    for (size_t length; *list != '\0'; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        snprintf(item, sizeof(item), "%.*s", (int)length, list);
        if (strcmp(row->group, item) == 0 || fnmatch(item, row->name, 0) == 0)
            return true;
    }
    return false;
}

bool row_takes_its_descriptors(const struct row *row)
{
    uint64_t sockets = row->scene.sockets + row->scene.clients;
    return row->need != ROW_NEEDS_DESCRIPTORS || machine_allows_descriptors(2 * sockets + SPARE_DESCRIPTORS);
}

static bool has_what_it_needs(const struct row *row)
{
    if (row->need == ROW_NEEDS_FIFO)
        return machine_become_fifo() == 0;
    return row_takes_its_descriptors(row);
}

const char *row_obstacle(const struct row *row)
{
    int status = 1;
    if (row->need == ROW_NEEDS_NOTHING)
        return NULL;
    pid_t child = fork(); /* tried in a process that is gone afterwards: the others stay as they are */
    if (child == 0)
        _exit(!has_what_it_needs(row));
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
        return NULL;
    return row->need == ROW_NEEDS_FIFO ? "needs SCHED_FIFO, which takes root or CAP_SYS_NICE"
                                       : "needs more descriptors than ulimit -n allows";
}
