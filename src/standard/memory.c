/* Links in memory that this library gets: sealed memfds and named objects. */
#include <errno.h>
#include <unistd.h>

#include "base/point.h"
#include "layout/extension.h"
#include "layout/superblock.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/open.h"
#include "standard/state.h"

/* Opens a link in a mapping that becomes its own; unmaps it if that fails. */
static int build_in_mapping(struct hqq_open *open, struct hqq_link **ret_link)
{
    open->owns_mapping = true;
    open->deadline_ns = hqq_deadline_after(hqq_clock_ns(), open->config.attach_timeout_ns);
    int result = hqq_link_build(open, ret_link);
    if (result == 0)
        return 0;
    hqq_shm_unmap(&open->mapping);
    return result;
}

/* What it takes to make a new region, as its primary. */
static int prepare_new(const struct hqq_link_config *config, struct hqq_open *ret_open, uint64_t *ret_bytes)
{
    struct hqq_layout layout;
    int result = hqq_config_complete(config, &ret_open->config, &layout);
    if (result != 0)
        return result;
    if (ret_open->config.role == HQQ_ROLE_SECONDARY)
        return HQQ_ERROR_INVALID_OP;
    ret_open->config.role = HQQ_ROLE_PRIMARY;
    ret_open->is_fresh = true;
    *ret_bytes = layout.bytes;
    return 0;
}

/* ---- memfd ------------------------------------------------------------------------------------------------------- */

int hqq_link_create_fd(const struct hqq_link_config *config, int *ret_fd, struct hqq_link **ret_link)
{
    struct hqq_open open = {.name = ""};
    uint64_t bytes;
    int fd;
    int result = prepare_new(config, &open, &bytes);
    if (result == 0)
        result = hqq_shm_create_memfd(bytes, &fd, &open.mapping);
    if (result != 0)
        return result;
    result = build_in_mapping(&open, ret_link);
    if (result != 0)
        hqq_sys.close(fd);
    else
        *ret_fd = fd;
    return result;
}

int hqq_link_attach_fd(int fd, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {.name = ""};
    int result = hqq_config_complete_attaching(config, &open.config);
    open.must_exist = open.config.role == HQQ_ROLE_SECONDARY;
    if (result == 0)
        result = hqq_shm_map_memfd(fd, &open.mapping);
    return result != 0 ? result : build_in_mapping(&open, ret_link);
}

/* ---- Named objects --------------------------------------------------------------------------------------------- */

static const char *without_slash(const char *name)
{
    return name[0] == '/' ? name + 1 : name;
}

/* True if the object is a region whose primary has closed or died, or whose creator died before it was ready.
 * Everything else may be somebody's, so nothing is written to it. */
static bool is_stale(const struct hqq_mapping *mapping)
{
    const struct hqq_attach_wish wish = {
        .page_size = hqq_page_size(),
        .memory_bytes = mapping->length,
        .pid_namespace = hqq_process_namespace(),
    };
    struct hqq_layout layout;
    int error;
    const struct hqq_extension *extension = hqq_extension_peek(mapping->base);
    switch (hqq_superblock_look(mapping->base, &wish, &layout, &error)) {
    case HQQ_ATTACH_INIT_DIED:
        return true;
    case HQQ_ATTACH_EMPTY:
        return hqq_process_is_dead(hqq_extension_initializer(mapping->base, wish.pid_namespace));
    case HQQ_ATTACH_READY:
        return extension && hqq_end_is_gone(&extension->end[0],
                                            wish.pid_namespace != 0 &&
                                                wish.pid_namespace == hqq_load_relaxed(&extension->pid_namespace));
    case HQQ_ATTACH_INITIALIZING:
    case HQQ_ATTACH_MISMATCH:
    default:
        return false;
    }
}

/* Gives the object its name, whose region is ready. A stale one of that name is removed first where that is wanted. */
static int give_name(const char *name, struct hqq_unnamed *unnamed, bool replaces)
{
    int result = hqq_shm_give_name(unnamed, name);
    if (result != -EEXIST || !replaces)
        return result;
    result = hqq_shm_unlink_if(name, is_stale);
    return result != 0 ? result : hqq_shm_give_name(unnamed, name);
}

/* Where the filesystem is full, what a stale object takes may be enough. */
static int create_unnamed(const char *name, const struct hqq_link_config *config, uint64_t bytes,
                          struct hqq_unnamed *ret_unnamed)
{
    int result = hqq_shm_create_unnamed(name, config->mode, bytes, ret_unnamed);
    if (result == -ENOSPC && (config->flags & HQQ_LINK_REPLACE_STALE) != 0 && hqq_shm_unlink_if(name, is_stale) == 0)
        result = hqq_shm_create_unnamed(name, config->mode, bytes, ret_unnamed);
    return result;
}

int hqq_link_create(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {.name = ""};
    struct hqq_unnamed unnamed;
    struct hqq_link *link;
    uint64_t bytes;
    int result = prepare_new(config, &open, &bytes);
    if (result == 0)
        result = create_unnamed(name, &open.config, bytes, &unnamed);
    if (result != 0)
        return result;
    open.mapping = unnamed.mapping;
    open.name = without_slash(name);
    result = build_in_mapping(&open, &link);
    if (result != 0) {
        unnamed.mapping.base = NULL; /* unmapped by now */
        hqq_shm_discard(&unnamed);
        return result;
    }
    result = give_name(name, &unnamed, (open.config.flags & HQQ_LINK_REPLACE_STALE) != 0);
    if (result != 0) {
        hqq_link_close(link); /* and its mapping */
        unnamed.mapping.base = NULL;
        hqq_shm_discard(&unnamed);
        return result;
    }
    HQQ_POINT("link.named");
    link->owns_name = true;
    *ret_link = link;
    return 0;
}

/* Maps the object once its creator has sized it: another implementation's, which makes the name first. */
static int map_when_sized(const char *name, struct hqq_open *open)
{
    uint64_t deadline = hqq_deadline_after(hqq_clock_ns(), open->config.attach_timeout_ns);
    for (;;) {
        int result = hqq_shm_open_named(name, &open->mapping);
        uint64_t now = hqq_clock_ns();
        if (result != HQQ_ERROR_MEMORY_SMALL || now >= deadline)
            return result;
        hqq_sys.sleep_until(hqq_deadline_after(now, HQQ_NS_PER_MS));
    }
}

int hqq_link_open(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {.must_exist = true};
    int result = hqq_config_complete_attaching(config, &open.config);
    if (result != 0)
        return result;
    if (open.config.role == HQQ_ROLE_ANY)
        open.config.role = HQQ_ROLE_SECONDARY;
    result = map_when_sized(name, &open);
    if (result != 0)
        return result;
    open.name = without_slash(name);
    return build_in_mapping(&open, ret_link);
}

int hqq_link_unlink(const char *name)
{
    return hqq_shm_unlink_named(name);
}
