#!/usr/bin/env bash
# symbols.sh MODULE MAP ROUTES...: the module exports exactly what its map names, each without a version and each
# really libc's; every call that must be hooked is; its thread-local storage is little and needs no call; all its
# symbols are bound at the start. ROUTES are the tests that call each.
set -u
export LC_ALL=C
module=$1
map=$2
shift 2
routes=("$@")
failed=0

report() {
    echo "$1"
    failed=1
}

exported=$(nm -D --defined-only "$module" | awk '{ print $3 }' | sort)
mapped=$(sed -n '/global:/,/local:/p' "$map" | sed -nE 's/^ +([A-Za-z_0-9]+);.*/\1/p' | sort)
wanted="socket socketpair bind connect shutdown send sendto sendmsg sendmmsg write writev pwritev2 recv recvfrom recvmsg
    recvmmsg read readv preadv2 __recv_chk __recvfrom_chk __read_chk poll ppoll __poll_chk __ppoll_chk select pselect
    epoll_ctl epoll_wait epoll_pwait epoll_pwait2 close closefrom close_range dup dup2 dup3 fcntl fcntl64 ioctl
    getsockopt setsockopt getsockname getpeername open open64 openat openat64 creat creat64 fopen fopen64 opendir pipe
    pipe2 accept accept4 eventfd epoll_create epoll_create1 timerfd_create signalfd inotify_init inotify_init1
    memfd_create pidfd_open syscall fdopen splice tee sendfile sendfile64 aio_read aio_write lio_listio aio_read64
    aio_write64 lio_listio64 _exit _Exit execve execv execvp execvpe execl execlp execle execveat fexecve posix_spawn
    posix_spawn_file_actions_adddup2 posix_spawnp system
    __read __write __close __poll __send __connect __open __open64 __fcntl
    __select __dup2 __pipe pwritev64v2 preadv64v2 longjmp _longjmp siglongjmp __longjmp_chk sigaction signal bsd_signal
    sysv_signal __sysv_signal siginterrupt rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat remove
    mount umount umount2 chroot pivot_root setns unshare setuid seteuid setreuid setresuid setgid setegid setregid
    setresgid setgroups initgroups setfsuid setfsgid capset prctl chmod fchmod fchmodat chown fchown lchown fchownat chdir
    fchdir mlockall munlockall fclose popen pclose"

[ "$exported" = "$mapped" ] || report "exported, and in the map: $(diff <(echo "$exported") <(echo "$mapped"))"
for name in $wanted; do
    grep -qx "$name" <<<"$exported" || report "$name is not hooked"
done
for name in $mapped; do
    grep -qw "$name" "${routes[@]}" || report "$name: none of ${routes[*]} calls it"
done

# What libc exports for the use of others; its private names are not ours to hide.
libc=$(ldd "$module" | awk '$1 ~ /^libc\.so/ { print $3 }')
public=$(nm -D --defined-only "$libc" | grep -v 'GLIBC_PRIVATE' | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u)
foreign=$(comm -23 <(echo "$exported") <(echo "$public"))
[ -z "$foreign" ] || report "not of libc: $foreign"

# Nor is there a name of libc that does the same as one we hook and that we forgot.
for name in $(sed 's/^_*//' <<<"$exported" | sort -u); do
    for other in "__$name" "__${name}64" "${name}64" "__${name}_2" "__${name}_chk" "_IO_$name"; do
        grep -qx "$other" <<<"$public" || continue
        grep -qx "$other" <<<"$exported" || report "$other of libc is not hooked, $name is"
    done
done

nm -D "$module" | grep -q '__tls_get_addr' && report "thread-local storage is not initial-exec"
size=$(readelf -lW "$module" | awk '$1 == "TLS" { print $6 }')
[ $((${size:-0})) -le 512 ] || report "thread-local storage of $size bytes: there may be no room for more than 512"
readelf -dW "$module" | grep -qE 'BIND_NOW|Flags:.*NOW' || report "not bound at the start"
readelf -dW "$module" | grep -q 'TEXTREL' && report "has text relocations"
exit $failed
