# Wall clocks that step, of the broker and of a worker, as real processes see it (wallclock.c; boot
# time goes on as it is): leases, timers and order do not notice.
load helpers

lease=3 lost=8

# Its wall clock is always what $demo/clock-NAME says.
faked() { # faked NAME PROGRAM OPTIONS...
    local name=$1
    shift
    echo +0 >"$demo/clock-$name"
    keep "$name" "$demo/$name" env LD_PRELOAD="$demo/wallclock.so" \
        LB_WALLCLOCK="$demo/clock-$name" "$@"
}
# step_clock NAME SECONDS: from the true time; a rename, so that no reader sees half of it
step_clock() {
    echo "$2" >"$demo/clock-new"
    mv "$demo/clock-new" "$demo/clock-$1"
}

setup_file() {
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    ${CC:-gcc} -shared -fPIC -O2 -o "$demo/wallclock.so" "$BATS_TEST_DIRNAME/wallclock.c"
    faked broker lbbroker --lease ${lease}s --lost-after ${lost}s
    await "the broker answers" lbctl whoami
    lbpkg keygen
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    faked etl1 lbworker --slots 1
    await "etl1 is up" sh -c "lbctl servers etl1 --json | grep -q '\"state\":\"up\"'"
    new_package child shell 'echo "begin $LB_PARAM_name" >>"$LB_PARAM_dir/witness"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo "end $LB_PARAM_name" >>"$LB_PARAM_dir/witness"' 'parameters:
  name: {type: string, required: true}
  dir: {type: string, required: true}'
    deploy child etl
}
teardown_file() { end_cluster; }
setup() { enter; }

called_at() { # called_at RUN: seconds by the broker's wall clock
    date +%s -d "$(lbctl show "$1" --json | jq -r .called_at)"
}

@test "wall clocks that step by hours expire nothing, fence no child and change no order" {
    local name at n=0 off parked begun now
    witness_file "$demo/witness"
    call --on-lost rerun package:child etl name=long "dir=$demo" >"$demo/long"
    await "it runs" grep -q 'begin long' "$demo/witness"
    # Accepted; what clocks say later does not matter to it.
    call --expires 3000 package:child etl name=w0 "dir=$demo" >"$demo/w0"
    begun=$(lbmon --event all --since 0 --until-now --json | tail -n 1 | jq .seq)
    for off in +7200 -240 +3600 -200 +0; do
        n=$((n + 1))
        step_clock broker "$off"
        step_clock etl1 "$((-off / 40))"
        call package:child etl "name=w$n" "dir=$demo" >"$demo/w$n"
        # The broker must see the other time, or this tests nothing.
        at=$(called_at "$(cat "$demo/w$n")")
        now=$(date +%s)
        [ $((at - now - off)) -lt 60 ]
        [ $((now + off - at)) -lt 60 ]
        # Past a renewal and more: the server answers, and its child still beats.
        parked=$(call --start-within 4 package:child nobody "name=p$n" "dir=$demo")
        [ "$(state_of "$parked")" = parked ] # not at once, whatever the clock says
        at=$(awk '{print int($1)}' /proc/uptime)
        await "its time to start is over" ended "$parked"
        [ "$(status_of "$parked")" = unreachable ]
        [ $(($(awk '{print int($1)}' /proc/uptime) - at)) -ge 2 ]
        lbctl servers etl1 --json | jq -e '.state == "up"'
        in_state "$(cat "$demo/long")" running
    done
    : >"$demo/go"
    for name in long w0 w1 w2 w3 w4 w5; do
        await "$name has ended" ended "$(cat "$demo/$name")"
        [ "$(status_of "$(cat "$demo/$name")")" = succeeded ]
    done
    [ "$(sed -n 's/^begin //p' "$demo/witness" | tr '\n' ' ')" = "long w0 w1 w2 w3 w4 w5 " ]
    lbmon --event all --since "$begun" --until-now --json >"$demo/events"
    [ "$(jq -r 'select(.event == "lost") | .event' "$demo/events" | wc -l)" -eq 0 ]
    [ "$(jq -r 'select(.event == "server") | .state' "$demo/events" | wc -l)" -eq 0 ]
    jq .seq "$demo/events" | sort -nuc
}

@test "a plan goes an hour after its upload or with retention, and never while its parent lives" {
    local idle live run depot=$demo/broker/var/depot
    join_principal anna 'call *@*'
    read -r idle live run < <(python "$BATS_TEST_DIRNAME/logsdepot.py" plans "$demo")
    [ -e "$depot/$idle" ]
    await "the parent's plan is marked" [ -e "$depot/$live.begun" ]
    step_clock broker $((91 * 86400))
    await "the plan without a parent is gone" [ ! -e "$depot/$idle" ]
    [ -e "$depot/$live" ]
    step_clock broker +0
    python "$BATS_TEST_DIRNAME/logsdepot.py" plans_end "$demo" "$run"
    step_clock broker $((91 * 86400))
    await "the plan of the ended parent is gone" [ ! -e "$depot/$live" ]
    [ ! -e "$depot/$live.begun" ]
    step_clock broker +0
}
