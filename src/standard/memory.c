/* Links in memory that this library gets: sealed memfds and named objects. */
#include <errno.h>
#include <unistd.h>

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
    int result = hqq_link_build(open, ret_link);
    if (result != 0)
        hqq_shm_unmap(&open->mapping);
    return result;
}

/* ---- memfd --------------------------------------------------------------------------------------------------------
 * */

int hqq_link_create_fd(const struct hqq_link_config *config, int *ret_fd, struct hqq_link **ret_link)
{
    struct hqq_open open = {.is_fresh = true, .name = ""};
    struct hqq_layout layout;
    int result = hqq_config_complete(config, &open.config, &layout);
    if (result == 0 && open.config.role == HQQ_ROLE_SECONDARY)
        result = HQQ_ERROR_INVALID_OP;
    if (result != 0)
        return result;
    open.config.role = HQQ_ROLE_PRIMARY;

    int fd;
    result = hqq_shm_create_memfd(layout.bytes, &fd, &open.mapping);
    if (result != 0)
        return result;
    open.deadline_ns = hqq_deadline_after(hqq_clock_ns(), open.config.attach_timeout_ns);
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
    if (result == 0)
        result = hqq_shm_map_memfd(fd, &open.mapping);
    if (result != 0)
        return result;
    open.deadline_ns = hqq_deadline_after(hqq_clock_ns(), open.config.attach_timeout_ns);
    return build_in_mapping(&open, ret_link);
}

/* ---- Named objects ------------------------------------------------------------------------------------------------
 * */

static const char *without_slash(const char *name)
{
    return name[0] == '/' ? name + 1 : name;
}

/* True if the object is a region whose primary is gone: closed, or died. Everything else may be somebody's. */
static bool is_stale(const struct hqq_mapping *mapping)
{
    const struct hqq_attach_wish wish = {
        .page_size = hqq_page_size(),
        .memory_bytes = mapping->length,
        .pid_namespace = hqq_process_namespace(),
    };
    struct hqq_layout layout;
    int error;
    enum hqq_attach state = hqq_superblock_look(mapping->base, &wish, &layout, &error);
    if (state == HQQ_ATTACH_INIT_DIED)
        return true;
    if (state != HQQ_ATTACH_READY)
        return false;
    const struct hqq_extension *extension = hqq_extension_find(mapping->base, wish.pid_namespace);
    return extension && hqq_end_is_gone(&extension->end[0], hqq_load_relaxed(&extension->pid_namespace));
}

static int unlink_stale(const char *name)
{
    struct hqq_mapping mapping;
    int result = hqq_shm_open_named(name, &mapping);
    if (result != 0)
        return result == -ENOENT ? 0 : -EEXIST;
    result = is_stale(&mapping) ? hqq_shm_unlink_mapping(name, &mapping) : -EEXIST;
    hqq_shm_unmap(&mapping);
    return result;
}

int hqq_link_create(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {.is_fresh = true, .owns_name = true};
    struct hqq_layout layout;
    int result = hqq_config_complete(config, &open.config, &layout);
    if (result == 0 && open.config.role == HQQ_ROLE_SECONDARY)
        result = HQQ_ERROR_INVALID_OP;
    if (result != 0)
        return result;
    open.config.role = HQQ_ROLE_PRIMARY;

    result = hqq_shm_create_named(name, open.config.mode, layout.bytes, &open.mapping);
    if (result == -EEXIST && (open.config.flags & HQQ_LINK_REPLACE_STALE) != 0) {
        result = unlink_stale(name);
        if (result == 0)
            result = hqq_shm_create_named(name, open.config.mode, layout.bytes, &open.mapping);
    }
    if (result != 0)
        return result;
    open.name = without_slash(name);
    open.deadline_ns = hqq_deadline_after(hqq_clock_ns(), open.config.attach_timeout_ns);
    struct hqq_mapping mapping = open.mapping;
    result = build_in_mapping(&open, ret_link);
    if (result != 0)
        (void)hqq_shm_unlink_mapping(name, &mapping);
    return result;
}

/* Maps the object once its creator has sized it. */
static int map_when_sized(const char *name, struct hqq_open *open)
{
    for (;;) {
        int result = hqq_shm_open_named(name, &open->mapping);
        uint64_t now = hqq_clock_ns();
        if (result != HQQ_ERROR_MEMORY_SMALL || now >= open->deadline_ns)
            return result;
        hqq_sys.sleep_until(hqq_deadline_after(now, HQQ_NS_PER_MS));
    }
}

int hqq_link_open(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {0};
    int result = hqq_config_complete_attaching(config, &open.config);
    if (result != 0)
        return result;
    if (open.config.role == HQQ_ROLE_ANY)
        open.config.role = HQQ_ROLE_SECONDARY;
    open.deadline_ns = hqq_deadline_after(hqq_clock_ns(), open.config.attach_timeout_ns);
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
