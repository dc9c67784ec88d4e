# The commands of docs/install.md and docs/tutorial.md, unchanged, in their order, each on the
# machine that the page names. Their output is compared with what the page shows. pages/machine says
# how machines are simulated and what is substituted; pages/blocks.py, how a page marks its blocks.
load helpers

setup_file() {
    new_demo
    [ "$(id -u)" -ne 0 ] || chown root:root "$demo" # as whatever is above a server's home
    mkdir "$demo/commands"
    for name in ssh session sudo install make git apt-get useradd sleep loginctl systemctl; do
        ln -s "$BATS_TEST_DIRNAME/pages/machine" "$demo/commands/$name"
    done
}
teardown_file() { end_cluster; }
setup() {
    enter
    unset LONGBOAT_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR
    export LB_TOP=$top LB_PLAY=$demo LB_USER=
    # As root the user longboat is another user, so that files of the wrong owner are found.
    [ "$(id -u)" -ne 0 ] || LB_USER=$server_user
}

# machine HOST...: as after a fresh installation
machine() {
    local host
    for host in "$@"; do
        mkdir -p "$demo/$host/home" "$demo/$host/srv"
    done
}

on() { # on HOST FILE: what a person types there
    LB_HOST=$1 "$demo/commands/session" "$1" "$2" 3>&-
}

# block FILE: runs it, and compares what the page says that it prints
block() {
    local file=$1 number host word line prints got=$demo/got
    IFS=. read -r number host word line <<<"${file##*/}"
    prints=${file%/*}/$number.prints
    sed -i "s|/srv/longboat/broker|$demo/wh0/srv/longboat/broker|g
        s/\(wh0\|0\.0\.0\.0\|127\.0\.0\.1\):7411/127.0.0.1:$port/g" "$file"
    case $host in
    etl*) sed -i "s|/srv/longboat/server|$demo/$host/srv/longboat/server|g" "$file" ;;
    esac
    case $word in
    background)
        on "$host" "$file" >"$demo/$host.background" 2>&1 &
        return
        ;;
    end)
        kill $(of_cluster_on "$host")
        wait
        return
        ;;
    root) [ -n "$LB_USER" ] || return 0 ;; # what only root can do
    until)
        await "line $line, on $host, prints what the page says" \
            printed "$host" "$file" "$prints" "$got" || {
            cat "$got"
            return 1
        }
        return
        ;;
    esac
    on "$host" "$file" >"$got" 2>&1 || {
        echo "line $line, on $host, ended with $?:"
        cat "$file" "$got"
        return 1
    }
    [ ! -e "$prints" ] || "$top/tests/system/pages/blocks.py" --compare "$prints" "$got" || {
        echo "line $line, on $host, printed:"
        cat "$got"
        return 1
    }
}

printed() {
    on "$1" "$2" >"$4" 2>&1 && "$top/tests/system/pages/blocks.py" --compare "$3" "$4"
}

# The program that a background block started: its home is on that machine.
of_cluster_on() {
    local p
    for p in $(pgrep -f "/$1/usr/local/bin/lbbroker|^lbbroker --restored"); do echo "$p"; done
}

page() { # page NAME: all its blocks
    local file
    port=$(free_port)
    mkdir "$demo/blocks-$1"
    "$top/tests/system/pages/blocks.py" "$top/docs/$1.md" "$demo/blocks-$1"
    for file in "$demo/blocks-$1"/*.*.*.*; do
        block "$file" || {
            echo "docs/$1.md is wrong, or what it says is"
            tail -n 20 "$demo"/*.log "$demo"/*.background
            return 1
        }
    done
}

@test "install.md: a cluster on five machines, a backup put back, an upgrade, a server removed" {
    machine desk wh0 etl3 etl4 desk2
    page install
}

@test "install.md: the server with users of its own runs a job as its proxy's user" {
    [ -n "$LB_USER" ] || skip "needs root"
    export LONGBOAT_HOME=$demo/desk/home/longboat
    PATH=$(within_reach "$LB_BIN" "$demo/bin"):$PATH
    grep -q 'separated mode' "$demo/etl3-lbrunner.log"
    run lbctl show "$(last_run greet)" --json
    field .status succeeded
    field .server etl3
    field '.job_outcome.steps[0].user' "$child_user"
    field '.job_outcome.steps[0].off | index("user")' null
    [ "$(stat -c %u "/proc/$(cat "$demo/etl3-lbworker-separated.pid")")" -eq "$server_user" ]
    [ "$(stat -c %u "/proc/$(runner_pid etl3/srv/longboat/server)")" -eq 0 ]
}

@test "install.md: the packages that it names have every library of the programs" {
    local name
    for name in $(readelf -d "$demo"/wh0/usr/local/bin/* |
        sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u); do
        ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }'
    done | xargs readlink -f | sed 's|^/usr||; s|^|*|' | xargs dpkg -S | sed 's/:.*//' | sort -u |
        grep -vx -e libc6 -e libgcc-s1 >"$demo/needed"
    for name in $(cat "$demo/needed"); do
        grep -qx "$name" "$demo/wh0/packages" || {
            echo "step 2 of install.md does not install $name"
            return 1
        }
    done
    [ "$(wc -l <"$demo/needed")" -ge 8 ]
}

@test "tutorial.md: a package, a job, a parent on three servers, every night" {
    machine here
    ln -s "$top" "$demo/here/longboat"
    echo "$top" >"$demo/here/folder"
    give_servers -hR "$demo/here"
    give_servers "$demo" # the ids of what they start are noted there
    in_home "$demo/here" test -x "$LB_BIN/lbctl" ||
        skip "the user of the tutorial cannot reach the programs"
    page tutorial
}
