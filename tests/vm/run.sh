#!/bin/sh
# run.sh - what only a kernel of one's own can show: cgroup controllers and Landlock, in a guest of
# QEMU with Debian's kernel, by software emulation.
#     usage: tests/vm/run.sh BUILD
# The guest is a kernel and an archive of files in memory; it has no disk and no network. Not part
# of check: it installs qemu, and takes minutes.
set -eu

build=$1
tests="sandbox_test cgroup_test landlock_test syscalls_test"
dir=$(mktemp -d "${TMPDIR:-/tmp}/lbt-vm-XXXXXX")
trap 'rm -rf "$dir"' EXIT

# Debian's kernel is unpacked, not installed: this machine keeps its own.
kernel() {
    package=$(apt-cache depends linux-image-cloud-amd64 |
        awk '/Depends: linux-image/ { print $2; exit }')
    (cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    dpkg-deb -x "$dir"/linux-image-*.deb "$dir/kernel"
    ls "$dir"/kernel/boot/vmlinuz-*
}

# with_libraries PROGRAM...: each, and the libraries that it needs, at the same places as here.
with_libraries() {
    for program; do
        ldd "$program" | grep -o '/[^ ]*' || :
    done | sort -u | while read -r library; do
        mkdir -p "$dir/root$(dirname "$library")"
        cp -L "$library" "$dir/root$library"
    done
}

fill() {
    for folder in bin dev etc proc sys tmp tests usr/bin var/tmp; do
        mkdir -p "$dir/root/$folder"
    done
    cp /bin/busybox "$dir/root/bin/"
    echo root:x:0:0::/:/bin/sh >"$dir/root/etc/passwd"
    for t in $tests; do
        cp "$build/test/runner/$t" "$dir/root/tests/"
        with_libraries "$build/test/runner/$t"
    done
    cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup /sys/fs/cgroup
echo "+memory +cpu +pids" >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/unit/longboat
echo $$ >/sys/fs/cgroup/unit/longboat/cgroup.procs
for t in /tests/*; do
    $t || echo "vm: $t has failed"
done
echo "vm: over"
poweroff -f
END
    chmod 755 "$dir/root/init"
    (cd "$dir/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/files"
}

vmlinuz=$(kernel)
fill
timeout 900 qemu-system-x86_64 -accel tcg -m 512 -nographic -no-reboot -nic none \
    -kernel "$vmlinuz" -initrd "$dir/files" -append "console=ttyS0 quiet panic=-1" </dev/null |
    tr -d '\r' | tee "$dir/log" | grep -E '\[ |vm:' || :
passed=$(grep -c '^\[       OK' "$dir/log" || :)
failed=$(grep -c '^\[  FAILED  \] [a-z_]*$' "$dir/log" || :)
skipped=$(grep -c '^\[  SKIPPED \] [a-z_]*$' "$dir/log" || :)
# cmocka names what has failed twice
echo "vm: $passed passed, $((failed / 2)) failed, $((skipped / 2)) skipped"
grep -q '^vm: over' "$dir/log" && [ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ] &&
    ! grep -q 'vm: .* has failed' "$dir/log"
