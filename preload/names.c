/*
 * Hooks: what changes names, where they are looked up, or who asks. Each is counted once it is over (runtime/names.h); a
 * call that failed is, too, as some fail half-way.
 */
#include "preload/hook.h"

#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/names.h"

static int changed(int result)
{
    hqq_names_changed();
    return result;
}

/* ---- What a name stands for, and who may use it ------------------------------------------------------------------ */

HQQ_EXPORT int rename(const char *from, const char *to)
{
    return changed(HQQ_REAL(rename)(from, to));
}

HQQ_EXPORT int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return changed(HQQ_REAL(renameat)(from_folder, from, to_folder, to));
}

HQQ_EXPORT int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return changed(HQQ_REAL(renameat2)(from_folder, from, to_folder, to, flags));
}

HQQ_EXPORT int link(const char *from, const char *to)
{
    return changed(HQQ_REAL(link)(from, to));
}

HQQ_EXPORT int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return changed(HQQ_REAL(linkat)(from_folder, from, to_folder, to, flags));
}

HQQ_EXPORT int symlink(const char *target, const char *path)
{
    return changed(HQQ_REAL(symlink)(target, path));
}

HQQ_EXPORT int symlinkat(const char *target, int folder, const char *path)
{
    return changed(HQQ_REAL(symlinkat)(target, folder, path));
}

HQQ_EXPORT int unlink(const char *path)
{
    return changed(HQQ_REAL(unlink)(path));
}

HQQ_EXPORT int unlinkat(int folder, const char *path, int flags)
{
    return changed(HQQ_REAL(unlinkat)(folder, path, flags));
}

HQQ_EXPORT int remove(const char *path)
{
    return changed(HQQ_REAL(remove)(path));
}

HQQ_EXPORT int chmod(const char *path, mode_t mode)
{
    return changed(HQQ_REAL(chmod)(path, mode));
}

HQQ_EXPORT int fchmod(int fd, mode_t mode)
{
    return changed(HQQ_REAL(fchmod)(fd, mode));
}

HQQ_EXPORT int fchmodat(int folder, const char *path, mode_t mode, int flags)
{
    return changed(HQQ_REAL(fchmodat)(folder, path, mode, flags));
}

HQQ_EXPORT int lchmod(const char *path, mode_t mode)
{
    return changed(HQQ_REAL(lchmod)(path, mode));
}

HQQ_EXPORT int chown(const char *path, uid_t user, gid_t group)
{
    return changed(HQQ_REAL(chown)(path, user, group));
}

HQQ_EXPORT int fchown(int fd, uid_t user, gid_t group)
{
    return changed(HQQ_REAL(fchown)(fd, user, group));
}

HQQ_EXPORT int lchown(const char *path, uid_t user, gid_t group)
{
    return changed(HQQ_REAL(lchown)(path, user, group));
}

HQQ_EXPORT int fchownat(int folder, const char *path, uid_t user, gid_t group, int flags)
{
    return changed(HQQ_REAL(fchownat)(folder, path, user, group, flags));
}

/* ---- Where names are looked up ---------------------------------------------------------------------------------- */

HQQ_EXPORT int chdir(const char *path)
{
    return changed(HQQ_REAL(chdir)(path));
}

HQQ_EXPORT int fchdir(int fd)
{
    return changed(HQQ_REAL(fchdir)(fd));
}

HQQ_EXPORT int chroot(const char *path)
{
    return changed(HQQ_REAL(chroot)(path));
}

HQQ_EXPORT int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
{
    return changed(HQQ_REAL(mount)(source, target, type, flags, data));
}

HQQ_EXPORT int umount(const char *target)
{
    return changed(HQQ_REAL(umount)(target));
}

HQQ_EXPORT int umount2(const char *target, int flags)
{
    return changed(HQQ_REAL(umount2)(target, flags));
}

HQQ_EXPORT int pivot_root(const char *root, const char *old);
HQQ_EXPORT int pivot_root(const char *root, const char *old)
{
    return changed(HQQ_REAL(pivot_root)(root, old));
}

HQQ_EXPORT int setns(int fd, int type)
{
    return changed(HQQ_REAL(setns)(fd, type));
}

HQQ_EXPORT int unshare(int flags)
{
    return changed(HQQ_REAL(unshare)(flags));
}

/* ---- Who asks ------------------------------------------------------------------------------------------------------ */

HQQ_EXPORT int setuid(uid_t user)
{
    return changed(HQQ_REAL(setuid)(user));
}

HQQ_EXPORT int seteuid(uid_t user)
{
    return changed(HQQ_REAL(seteuid)(user));
}

HQQ_EXPORT int setreuid(uid_t real, uid_t effective)
{
    return changed(HQQ_REAL(setreuid)(real, effective));
}

HQQ_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
    return changed(HQQ_REAL(setresuid)(real, effective, saved));
}

HQQ_EXPORT int setgid(gid_t group)
{
    return changed(HQQ_REAL(setgid)(group));
}

HQQ_EXPORT int setegid(gid_t group)
{
    return changed(HQQ_REAL(setegid)(group));
}

HQQ_EXPORT int setregid(gid_t real, gid_t effective)
{
    return changed(HQQ_REAL(setregid)(real, effective));
}

HQQ_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved)
{
    return changed(HQQ_REAL(setresgid)(real, effective, saved));
}

HQQ_EXPORT int setgroups(size_t count, const gid_t *groups)
{
    return changed(HQQ_REAL(setgroups)(count, groups));
}

HQQ_EXPORT int initgroups(const char *user, gid_t group)
{
    return changed(HQQ_REAL(initgroups)(user, group));
}

HQQ_EXPORT int setfsuid(uid_t user)
{
    return changed(HQQ_REAL(setfsuid)(user));
}

HQQ_EXPORT int setfsgid(gid_t group)
{
    return changed(HQQ_REAL(setfsgid)(group));
}

HQQ_EXPORT int capset(void *header, const void *data);
HQQ_EXPORT int capset(void *header, const void *data)
{
    return changed(HQQ_REAL(capset)(header, data));
}
