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

# Where root runs the cluster, its servers belong to another user, since lbworker refuses root. It
# is a number that neither Debian nor systemd gives to anybody, so it needs no account.
server_user=65522

# give_servers PATH...: these files belong to that user from now on.
give_servers() {
    [ "$(id -u)" -ne 0 ] || chown "$server_user:$server_user" "$@"
}

# server_home HOME: makes a server's home.
server_home() {
    [ -d "$1" ] || (umask 077 && mkdir -p "$1")
    give_servers "$1"
    in_home "$1" test -w "$1" || {
        echo "user $server_user, who runs the servers, cannot reach '$1': choose another folder" >&2
        return 1
    }
}

# as_owner HOME: the words that make a command run as the user to whom this home belongs, if that is
# somebody else.
as_owner() {
    [ "$(id -u)" -ne 0 ] || [ ! -e "$1" ] || [ "$(stat -c %u "$1")" -eq 0 ] ||
        stat -c 'setpriv --reuid=%u --regid=%g --clear-groups' "$1"
}

# in_home HOME COMMAND...: a command with this home, as the user to whom it belongs.
in_home() {
    in_home_at=$1
    shift
    LONGBOAT_HOME=$in_home_at $(as_owner "$in_home_at") "$@"
}

# within_reach FOLDER COPY: prints the folder, if the servers' user can run the programs in it, else
# COPY, a copy of it: root may have built them below a home that others cannot enter.
within_reach() {
    within_there=$1
    if [ "$(id -u)" -eq 0 ] && ! setpriv --reuid="$server_user" --regid="$server_user" \
        --clear-groups test -x "$1/lbworker"; then
        within_there=$2
        [ -d "$2" ] || cp -R "$1" "$2"
    fi
    printf '%s\n' "$within_there"
}

# keep NAME HOME PROGRAM ARGS...: runs a program in the background and starts it again when it dies,
# as systemd would on a real server, until $demo/NAME.stop exists. Its log is $demo/NAME.log, its
# process id is in $demo/NAME.pid, its user is the one to whom HOME belongs. An earlier keeper of
# the same name must be told to stop first; this waits for it, since two of them would start the
# program in turns.
keep() {
    keep_name=$1 keep_home=$2 keep_as=$(as_owner "$2")
    if [ -e "$demo/$keep_name.keeper" ]; then
        await "the earlier keeper of $keep_name has ended" \
            gone "$(cat "$demo/$keep_name.keeper")" || return 1
    fi
    shift 2
    rm -f "$demo/$keep_name.stop"
    (
        while [ ! -e "$demo/$keep_name.stop" ]; do
            LONGBOAT_HOME=$keep_home $keep_as "$@" >>"$demo/$keep_name.log" 2>&1 </dev/null &
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

# end_all: ends every process of this cluster at once; only files are left.
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
    remove_memory
}

# remove_memory: what servers keep in memory, parameters and results of their steps. A runner that
# is killed leaves it there.
remove_memory() {
    find "$demo" -maxdepth 5 -type d -name run | while read -r memory_run; do
        rm -rf /dev/shm/longboat-*-"$(printf %s "$memory_run" | b2sum -l 256 | cut -c 1-16)"
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
