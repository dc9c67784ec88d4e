# helpers.bash - what the system tests share: a cluster of real processes below $demo, with a home
# for each program. Nothing sleeps a guessed time: `await` polls for the event that a test waits
# for, with a bound of 30 s.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
PATH=$LB_BIN:$PATH
. "$top/examples/nightly-load/cluster.sh"

# The interpreter that has the distribution's msgpack, nacl and zmq.
python() {
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
}

# call [OPTIONS] JOB ADDRESS NAME=VALUE...: see call.py
call() {
    python "$BATS_TEST_DIRNAME/call.py" "$@"
}

# own_users NAME...: gives each of these variables the number of a user or group whom no other run
# on this machine has: tests look for what is left of a user, and would find the other run's. Eight
# numbers for each bats, by its process id. They need no accounts: they are far above those that
# adduser gives first, and below those of the system, which begin at 60000; a container may have
# none above 65535.
own_users() {
    local n=0 name
    for name; do
        printf -v "$name" %d $((20000 + BATS_ROOT_PID % 4900 * 8 + n))
        n=$((n + 1))
    done
}

# A folder with a short path: socket names have 107 bytes. Children write into it.
new_demo() {
    demo=$(mktemp -d "${TMPDIR:-/tmp}/lbt-XXXXXX")
    echo "$demo" >"$BATS_FILE_TMPDIR/demo"
    chmod 755 "$demo"
    give_servers "$demo"
}

# In each test: $demo, and the administrator as the identity.
enter() {
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    PATH=$(within_reach "$LB_BIN" "$demo/bin"):$PATH
    export LONGBOAT_HOME=$demo/admin
}

as() { # as NAME COMMAND...: with another identity
    local home=$demo/$1
    shift
    [ "$1" != lbworker ] || server_home "$home"
    in_home "$home" "$@"
}

# Into these, children append.
witness_file() {
    : >"$1"
    give_servers "$1"
}
witness_folder() {
    mkdir "$1"
    give_servers "$1"
}

start_broker() { # start_broker [OPTIONS...]
    keep broker "$demo/broker" lbbroker "$@"
    await "the broker answers" lbctl whoami
}

join_server() { # join_server NAME POOLS
    lbctl invite --server "$1" --pools "$2" >"$demo/token"
    as "$1" lbworker join <"$demo/token"
    as "$1" mkdir -p "$demo/$1/etc/jobs"
}

start_server() { # start_server NAME [OPTIONS...]
    local name=$1
    shift
    keep "$name" "$demo/$name" lbworker "$@"
    await "$name is up" sh -c "lbctl servers $name --json | grep -q '\"state\":\"up\"'" || {
        tail -n 20 "$demo/$name.log" "$demo/broker.log"
        lbctl servers "$name"
        return 1
    }
}

join_principal() { # join_principal NAME GRANT...
    local name=$1 g args=()
    shift
    for g in "$@"; do args+=(--grant "$g"); done
    lbctl invite --principal "$name" "${args[@]}" >"$demo/token"
    as "$name" lbsubmit join <"$demo/token"
}

# new_package NAME SUBSYSTEM ENTRY-TEXT [MANIFEST-LINES]: builds and signs $demo/NAME.lbp
new_package() {
    local folder=$demo/src-$1
    mkdir -p "$folder"
    printf '%s\n' "$3" >"$folder/main"
    chmod 755 "$folder/main"
    printf 'name: %s\nversion: 1.0.0\ndescription: of a test\nsubsystem: %s\nentry: main\n%s\n' \
        "$1" "$2" "${4:-}" >"$folder/package.yaml"
    lbpkg build "$folder" -o "$demo/$1.lbp" && lbpkg sign "$demo/$1.lbp"
}

deploy() { # deploy NAME ADDRESS
    lbpkg deploy "$demo/$1.lbp" --to "$2" --wait
}

# A cluster with the servers named, all in the pool etl, that trust our builder: new_cluster etl1
# etl2
new_cluster() {
    local s
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    for s in "$@"; do
        join_server "$s" etl
        cp "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
        start_server "$s"
    done
}

end_cluster() {
    [ -e "$BATS_FILE_TMPDIR/demo" ] || return 0
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    unset LONGBOAT_HOME
    end_all
    if [ -n "${BATS_TEST_COMPLETED:-}" ] || [ -z "${LB_KEEP:-}" ]; then
        remove_demo
    fi
}

kill9() { # kill9 NAME: kills a program at once; the loop that keeps it starts it again
    kill -9 "$(cat "$demo/$1.pid")"
}

sanitized() { # are these programs built with a sanitizer? Then memory is not what it is elsewhere.
    nm -D "$LB_BIN/lbctl" 2>/dev/null | grep -qE '__[a-z]*san_'
}

# The same, but it stays down until the test starts it; waits for the loop that keeps it, which
# would go on otherwise.
kill9_for_good() {
    : >"$demo/$1.stop"
    kill9 "$1"
    await "nobody keeps $1" gone "$(cat "$demo/$1.keeper")"
}

# The runner of a server, by its lock.
runner_pid() {
    head -n 1 "$demo/$1/run/runner.lock" | tr -cd 0-9
}

ended() { # ended RUN: has it?
    [ "$(lbctl show "$1" --json | jq -r .state)" = ended ]
}

state_of() {
    lbctl show "$1" --json | jq -r .state
}

in_state() { # in_state RUN STATE
    [ "$(state_of "$1")" = "$2" ]
}

descendants() { # descendants PID: "PID NAME" of each process below it
    local p
    for p in $(pgrep -P "$1"); do
        echo "$p $(cat "/proc/$p/comm" 2>/dev/null)"
        descendants "$p"
    done
}

# field EXPRESSION WANTED: what jq reads in bats's $output
field() {
    local got
    got=$(jq -r "$1" <<<"$output")
    [ "$got" = "$2" ] || {
        echo "$1 is '$got', not '$2', in: $output"
        return 1
    }
}

# stored QUERY: what the store itself says, asked by none of our programs. The broker folds in quiet
# moments, so what has just ended is there a moment later: await it.
stored() {
    sqlite3 -readonly "$demo/broker/var/broker/broker.db" "$1"
}

stored_is() { # stored_is WANTED QUERY
    [ "$(stored "$2")" = "$1" ]
}

last_run() { # the newest run of a job: last_run JOB
    lbctl history --job "$1" -n 1 --json | jq -r .run
}

status_of() {
    lbctl show "$1" --json | jq -r .status
}

# assert_has TEXT: bats's $output has it
assert_has() {
    case $output in
    *"$1"*) ;;
    *)
        echo "the output has no '$1':"
        echo "$output"
        return 1
        ;;
    esac
}

# not COMMAND...: fails when it succeeds. A bare `!` in the middle of a test fails nothing: the
# shell excuses it.
not() {
    if "$@"; then
        echo "this succeeded and should not have: $*"
        return 1
    fi
}
