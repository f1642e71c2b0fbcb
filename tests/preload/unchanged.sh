#!/usr/bin/env bash
# unchanged.sh MODULE MANNERS: programs that know nothing of the preload say the same under it as without it, on stdout
# and stderr and by their status. Those that are not installed are left out.
set -u
export LC_ALL=C
module=$1
manners=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
seq 1 2000 >numbers
mkdir folder
touch folder/a folder/b
failed=0
count=0

# same COMMAND...: with the preload as without it
same() {
    local plain preloaded
    command -v "$1" >plain.which 2>&1 || return 0
    "$@" >plain.out 2>plain.err </dev/null
    plain=$?
    LD_PRELOAD=$module "$@" >preloaded.out 2>preloaded.err </dev/null
    preloaded=$?
    count=$((count + 1))
    if [ $plain -ne $preloaded ] || ! cmp -s plain.out preloaded.out || ! cmp -s plain.err preloaded.err; then
        echo "failed: $* (status $preloaded, without the preload $plain)"
        diff plain.out preloaded.out | head -5
        diff plain.err preloaded.err | head -5
        failed=1
    fi
}

same true
same false
same ls -l folder
same ls /no/such/folder
same cat numbers
same sort -R --random-source=numbers numbers
same sort -rn --parallel=2 numbers
same sh -c 'echo out; echo err >&2; exit 3'
same bash -c 'seq 100 | sort -n | tail -3 | cat; echo $(( $(wc -l <numbers) ))'
same bash -c 'exec 5<numbers; read -r line <&5; echo "$line"; exec 5<&-; diff <(sort numbers) <(sort -n numbers) | wc -l'
same bash -c 'while read -r n; do [ "$n" -lt 5 ] && echo "$n"; done <numbers & wait'
same perl -e 'open(F, "<", "numbers") or die; @l = <F>; print scalar(@l), " $!\n"; print `echo sub`; exit 4'
same perl -e 'use Socket; socketpair(A, B, AF_UNIX, SOCK_DGRAM, 0) or die; syswrite(A, "hi"); sysread(B, $x, 9); print "$x\n"'
same python3 -c '
import os, select, socket, subprocess, tempfile, threading
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.send(b"one"); print(b.recv(10))
e = select.epoll(); e.register(b, select.EPOLLIN); a.send(b"two"); print(len(e.poll(1)), b.recv(10))
print(subprocess.run(["echo", "sub"], capture_output=True).stdout)
t = threading.Thread(target=lambda: print(b.recv(10))); t.start(); a.send(b"three"); t.join()
pid = os.fork()
if pid == 0:
    os._exit(5)
print(os.waitpid(pid, 0)[1])
with tempfile.TemporaryFile() as f:
    f.write(b"x"); f.seek(0); print(f.read())
try:
    os.close(999)
except OSError as error:
    print(error)
'
same find . -name a
same tar cf - --mtime=@0 folder numbers
same gzip -nc numbers
same xargs -a numbers -n 500 -P 2 true
same awk '{ s += $1 } END { print s }' numbers
same dd if=numbers of=/dev/null bs=64 status=none
same timeout 60 cat numbers
same env printf 'x\n'
same id -u
same git --version
same tsort /dev/null
same openssl dgst -sha256 numbers

# Of the module's own manners: errno, environment, descriptors.
variable=LD_PRELOAD=$module
env -i A=1 B= "$manners" A=1 B= >plain.out 2>&1 || { echo "failed: manners, without the preload"; cat plain.out; failed=1; }
env -i "$variable" A=1 B= "$manners" "$variable" A=1 B= >out 2>&1 || { echo "failed: manners"; failed=1; }
diff plain.out out || { echo "failed: manners says otherwise"; failed=1; }

# Together with another allocator, before or after it.
jemalloc=$(ls /usr/lib/*/libjemalloc.so.2 2>/dev/null | head -1)
if [ -n "$jemalloc" ]; then
    for both in "$module:$jemalloc" "$jemalloc:$module"; do
        LD_PRELOAD=$both MALLOC_CONF=abort_conf:true sort -rn numbers >out 2>err || { echo "failed: jemalloc"; failed=1; }
        [ "$(head -1 out)" = 2000 ] && [ ! -s err ] || { echo "failed: jemalloc, $both"; cat err; failed=1; }
    done
else
    echo "left out: jemalloc is not installed"
fi

# Under a debugger, which stops inside a hook.
if command -v gdb >/dev/null && gdb -nx -batch -ex run --args true >/dev/null 2>&1; then
    gdb -nx -batch -ex "set environment LD_PRELOAD $module" -ex 'set startup-with-shell off' -ex 'break main' \
        -ex run -ex 'info symbol read' -ex 'break dup2' -ex continue -ex backtrace -ex delete -ex continue \
        --args "$manners" >out 2>&1
    grep -q 'read in section .text of .*libhqq-preload' out || { echo "failed: gdb, symbols"; cat out; failed=1; }
    grep -qE '^#1 .* in main|^#1 +main' out || { echo "failed: gdb, backtrace"; cat out; failed=1; }
    grep -q '^\[Inferior 1 .* exited' out || { echo "failed: gdb, end"; cat out; failed=1; }
else
    echo "left out: gdb does not run here"
fi

echo "$count programs"
exit $failed
