# make install: programs that run from where they were installed, units with their paths, and a
# client library that other programs compile and link against.
load helpers

setup_file() {
    demo=$(mktemp -d "${TMPDIR:-/tmp}/lbt-XXXXXX")
    echo "$demo" >"$BATS_FILE_TMPDIR/demo"
    # The build folder as make knows it: names of make's have no spaces, the way to them may.
    env -u MAKEFLAGS -u MAKELEVEL make -C "$top" --no-print-directory install \
        B="$(realpath --relative-to="$top" "$LB_BIN/..")" DESTDIR="$demo/root" PREFIX=/usr \
        HOMES=/opt/boats >/dev/null
}
teardown_file() { rm -rf "$(cat "$BATS_FILE_TMPDIR/demo")"; }
setup() { demo=$(cat "$BATS_FILE_TMPDIR/demo"); }

@test "every program is installed and prints its version and help" {
    for p in lbbroker lbworker lbrunner lbunpack lbparse lbsubmit lbmon lbctl lbpkg; do
        "$demo/root/usr/bin/$p" --version | grep -q "$p"
        "$demo/root/usr/bin/$p" --help | grep -q '^Example'
    done
}

@test "every command of lbctl and lbpkg has a help page with examples" {
    local p verb
    for p in lbctl lbpkg; do
        for verb in $("$demo/root/usr/bin/$p" --help |
            sed -n '/^Examples/q; s/^  \([a-z]*\) .*/\1/p'); do
            "$demo/root/usr/bin/$p" "$verb" --help | grep -q '^Examples:' || {
                echo "$p $verb --help has none"
                return 1
            }
        done
    done
}

@test "the pages are there, and what they link to is there or is source code" {
    local doc=$demo/root/usr/share/doc/longboat page target
    while read -r page; do
        for target in $(grep -o '](\([^):#]*\)[)#]' "$page" | sed 's/^](//; s/.$//'); do
            [ -e "$(dirname "$page")/$target" ] || {
                target=$(realpath -m --relative-to="$doc" "$(dirname "$page")/$target")
                [ -e "$top/$target" ] && [[ $target == */* && $target != docs/* ]]
            } || {
                echo "${page#"$doc/"} links to $target, which is not installed"
                return 1
            }
        done
    done < <(find "$doc" -name '*.md')
    [ -s "$doc/README.md" ] && [ -s "$doc/LICENSE" ]
}

@test "the units name the installed programs and the chosen folders" {
    local units=$demo/root/usr/lib/systemd/system
    grep -q '^ExecStart=/usr/bin/lbworker' "$units/lbworker.service"
    grep -q '^ExecStart=/usr/bin/lbbroker' "$units/lbbroker.service"
    grep -q '^Environment=LONGBOAT_HOME=/opt/boats/broker$' "$units/lbbroker.service"
    grep -q '^ReadWritePaths=/opt/boats/broker$' "$units/lbbroker.service"
    ! grep -r '/usr/local\|/srv/' "$units"
}

@test "a program links against the installed client library by pkg-config" {
    cat >"$demo/program.c" <<'C'
#include <client/longboat.h>
#include <stdio.h>
int main(void)
{
    struct longboat *lb = NULL;
    struct error err = {0};
    if (longboat_open(&lb, "/nowhere", NULL, &err) < 0)
        printf("%s\n", err.text);
    longboat_close(&lb);
    return 0;
}
C
    export PKG_CONFIG_PATH=$demo/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=
    sed -i "s|^prefix=.*|prefix=$demo/root/usr|" "$demo/root/usr/lib/pkgconfig/longboat.pc"
    flags=
    ! nm "$LB_BIN/lbctl" 2>/dev/null | grep -q __asan_init || flags=-fsanitize=address,undefined
    gcc -std=gnu11 $flags -o "$demo/program" "$demo/program.c" \
        $(pkg-config --cflags --libs longboat)
    run "$demo/program"
    [ "$status" -eq 0 ]
    [[ $output == *"no identity in /nowhere"* ]]
}

@test "docs/security.md says with what lbrunner is linked, and how many lines it has, within 5 %" {
    local page=$top/docs/security.md lines said
    run ldd "$LB_BIN/lbrunner"
    grep -oE '^\s*lib[a-z]+' <<<"$output" | tr -d ' \t' |
        grep -vE '^lib(asan|tsan|ubsan|gcc|m|stdc)' | sort >"$demo/linked"
    diff - "$demo/linked" <<<$'libc\nlibseccomp\nlibsodium'
    grep -qF 'names libc, libsodium and libseccomp:' "$page"
    said=$(sed -n 's/.*in `runner\/`, about \([0-9,]*\) lines .*/\1/p' "$page" | tr -d ,)
    lines=$(find "$top/runner" -maxdepth 1 -name '*.[ch]' ! -name '*_test.c' ! -name 'test*' \
        -exec cat {} + | wc -l)
    echo "said: $said, counted: $lines"
    [ "$lines" -le $((said * 105 / 100)) ] && [ "$lines" -ge $((said * 95 / 100)) ]
}
