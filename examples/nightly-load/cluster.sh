# cluster.sh - functions for running a small cluster on one machine; sourced by the demo and by the
# system tests. Needs $demo: the folder in which every program's home lies.

# The demo's folder: an absolute path without a slash at its end.
demo_folder() {
    demo_path=${LONGBOAT_DEMO:-${TMPDIR:-/tmp}/longboat-demo-$(id -u)}
    case $demo_path in /*) ;; *) demo_path=$PWD/$demo_path ;; esac
    while [ "${demo_path%/}" != "$demo_path" ]; do demo_path=${demo_path%/}; done
    printf '%s\n' "$demo_path"
}

# A TCP port that was free a moment ago.
free_port() {
    /usr/bin/python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# keep NAME HOME PROGRAM ARGS...: runs a program in the background and starts it again when it dies,
# as systemd would on a real server, until $demo/NAME.stop exists. Its log is $demo/NAME.log, its
# process id is in $demo/NAME.pid. An earlier keeper of the same name must be told to stop first;
# this waits for it, since two of them would start the program in turns.
keep() {
    keep_name=$1 keep_home=$2
    if [ -e "$demo/$keep_name.keeper" ]; then
        await "the earlier keeper of $keep_name has ended" \
            gone "$(cat "$demo/$keep_name.keeper")" || return 1
    fi
    shift 2
    rm -f "$demo/$keep_name.stop"
    (
        while [ ! -e "$demo/$keep_name.stop" ]; do
            LONGBOAT_HOME=$keep_home "$@" >>"$demo/$keep_name.log" 2>&1 </dev/null &
            echo $! >"$demo/$keep_name.pid"
            wait $! || :
            sleep 0.2
        done
    ) >/dev/null 2>&1 3>&- &
    echo $! >"$demo/$keep_name.keeper"
}

# await WHAT COMMAND...: repeats the command until it succeeds, for at most 30 seconds (await_most:
# another number), and then says what it waited for.
await() {
    await_what=$1
    shift
    await_left=$((${await_most:-30} * 10))
    until "$@" >/dev/null 2>&1; do
        await_left=$((await_left - 1))
        if [ "$await_left" -le 0 ]; then
            echo "waited ${await_most:-30} s in vain until $await_what ($*)" >&2
            return 1
        fi
        sleep 0.1
    done
}

# of_cluster: the processes of this cluster, one id a line: Longboat's programs with a home below
# $demo. Runners and keepers outlive their worker by design, so their parent process says nothing;
# their home is on their command line. Only root can read the environment of a process that holds
# keys, so broker and workers are known by their .pid files. A shell or a make with such a home
# belongs to a person and is left alone.
of_cluster() {
    for of_process in /proc/[0-9]*; do
        { read -r of_name <"$of_process/comm"; } 2>/dev/null || continue
        case $of_name in lb*) ;; *) continue ;; esac
        ! gone "${of_process#/proc/}" || continue
        if has_line "$of_process/cmdline" "$demo/" ||
            has_line "$of_process/environ" "LONGBOAT_HOME=$demo/" ||
            grep -qsx "${of_process#/proc/}" "$demo"/*.pid; then
            echo "${of_process#/proc/}"
        fi
    done
}

# has_line FILE TEXT: is there a piece that begins with this text, among those that NUL divides?
has_line() {
    case "
$({ tr '\0' '\n' <"$1"; } 2>/dev/null)" in *"
$2"*) ;; *) return 1 ;; esac
}

# end_all: ends every process of this cluster at once.
end_all() {
    for end_stop in "$demo"/*.keeper; do
        [ ! -e "$end_stop" ] || : >"${end_stop%.keeper}.stop"
    done
    for end_signal in TERM KILL; do
        for end_process in $(of_cluster); do
            kill -$end_signal "$end_process" 2>/dev/null || :
        done
        [ $end_signal = KILL ] || sleep 0.3
    done
}

# remove_demo: all its files. Installed packages are read-only, folders too, which stops everybody
# but root.
remove_demo() {
    [ ! -e "$demo" ] || chmod -R u+w "$demo" && rm -rf "$demo"
}

# halt NAME: ends a kept program and what keeps it, and waits for both, so that what is kept under
# this name afterwards does not meet its predecessor.
halt() {
    : >"$demo/$1.stop"
    [ ! -e "$demo/$1.keeper" ] || await "$1 has ended" halted "$1"
    rm -f "$demo/$1.pid" "$demo/$1.keeper"
}

# Asks each time: it may have been started again just before.
halted() {
    kill "$(cat "$demo/$1.pid")" 2>/dev/null || :
    gone "$(cat "$demo/$1.keeper")"
}

# gone PID: no such process, or dead and not yet waited for.
gone() {
    [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}
