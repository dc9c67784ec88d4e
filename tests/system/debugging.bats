# gdb's printers show what spans, buffers, ids and hashes hold.

@test "gdb prints texts, bytes, ids and hashes as people write them" {
    command -v gdb >/dev/null || skip "gdb is not installed"
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    cat >"$BATS_TEST_TMPDIR/values.c" <<'C'
#include "proto/wire.h"
#include "common/id.h"
#define TEXT "caf\xc3\xa9 \"au lait\"\n"
struct span text = {(const uint8_t *)TEXT, sizeof TEXT - 1}, none, wild = {(const uint8_t *)8, 5};
struct span bytes = {(const uint8_t *)"\0\1\377", 3};
static uint8_t many[1000] = {[0 ... 999] = 'x'};
struct buf buffer = {many, 1000, 1024};
struct id run = {{1, 0x98, 0xc1, 0xf2, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 9}}, no_run;
struct hash job = {{0xab, [31] = 0xcd}};
int main(void) { return 0; }
C
    gcc -g -no-pie -I"$top" -o "$BATS_TEST_TMPDIR/values" "$BATS_TEST_TMPDIR/values.c"
    LC_ALL=C.UTF-8 run gdb -nx -q -batch -ex "source $top/tools/gdb/longboat.py" \
        -ex 'print text' -ex 'print none' -ex 'print wild' -ex 'print bytes' -ex 'print buffer' \
        -ex 'print run' -ex 'print no_run' -ex 'print job' "$BATS_TEST_TMPDIR/values"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = '$1 = "café \"au lait\"\n" (16 bytes)' ]
    [ "${lines[1]}" = '$2 = empty' ]
    [ "${lines[2]}" = '$3 = 5 bytes at 0x8, which cannot be read' ]
    [ "${lines[3]}" = '$4 = 0x0001ff (3 bytes)' ]
    [[ ${lines[4]} == '$5 = "xxxx'*'xxxx"... (1000 bytes)' ]]
    [ "${lines[5]}" = '$6 = 0198c1f2-0000-7000-8000-000000000009' ]
    [ "${lines[6]}" = '$7 = no id' ]
    [ "${lines[7]}" = "\$8 = ab$(printf '0%.0s' {1..60})cd" ]
}
