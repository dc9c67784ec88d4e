# Secrets: put on standard input, opened by the servers' keepers alone, and readable nowhere else.
load helpers

value=hunter22-s3cr3t-canary

setup_file() {
    new_cluster etl1 etl2
    new_package login shell "$(cat <<'END'
password=$(sed 's/.*"password": *"\([^"]*\)".*/\1/' "$LB_PARAMETERS")
printf '%s' "$password" | sha256sum | cut -c 1-64 >>"$LB_PARAM_file"
echo "as $password"; echo "with $password" >&2
tr '\0' ' ' </proc/$$/cmdline >>"$LB_PARAM_file.seen"; env >>"$LB_PARAM_file.seen"
[ "$LB_PARAM_fail" = no ] || { echo "failed no access with $password" >"$LB_RESULT"; exit 3; }
END
)" 'parameters:
  password: {type: string, required: true, sensitive: true}
  file: {type: string, required: true}
  fail: {type: string, default: "no"}'
    deploy login etl
    witness_folder "$demo/out"
    join_principal dora 'secret db@etl' 'watch *@etl'
    join_principal anna 'call *@etl' 'watch *@etl'
    join_principal emma 'call *@etl' 'watch *@etl' 'secret db@etl'
}
teardown_file() { end_cluster; }
setup() { enter; }

put() { # put NAME ADDRESS [VALUE]: as the administrator
    printf '%s\n' "${3:-$value}" | lbctl secret put "$1" --to "$2"
}
digest() { printf '%s' "$1" | sha256sum | cut -c 1-64; }

job() { # job SERVER NAME SECRET: a job file whose step gets the secret
    cat >"$demo/$1/etc/jobs/$2.yaml" <<END
job: $2
steps:
  - name: login
    package: login
    parameters: {password: {secret: $3}, file: "{{file}}", fail: "{{fail}}"}
END
}
has_job() { # has_job NAME SERVER
    lbctl servers "$2" --json | jq -e --arg j "$1" 'any(.jobs[]; .job == $j)'
}
came() { # came COUNT: so many versions have come to etl1
    [ "$(grep -c "secret 'db' is here" "$demo/etl1.log")" -ge "$1" ]
}
lacks() { # lacks NAME: who lacks it, by lbctl secret list
    lbctl secret list --json | jq -r --arg n "$1" 'select(.name == $n) | .lacks | join(",")'
}
holds() { # holds SERVER NAME true|false
    [ "$(lbctl servers "$1" --json | jq -r --arg n "secret:$2" \
        '.needs[] | select(.need == $n) | .holds')" = "$3" ]
}

@test "a job gets a secret that was put, and its value is readable nowhere" {
    run put db etl
    [ "$status" -eq 0 ]
    assert_has "Put secret db, version 1, sealed to 2 servers of etl"
    job etl1 nightly db
    await "etl1 has the job" has_job nightly etl1
    await "etl1 holds the secret" holds etl1 db true
    run as anna call --wait nightly etl1 "file=$demo/out/one" fail=no
    field .status succeeded
    [ "$(cat "$demo/out/one")" = "$(digest "$value")" ]
    run as anna call --wait nightly etl1 "file=$demo/out/two" fail=yes
    field .status failed
    local ran
    ran=$(last_run nightly)
    run lbctl show "$ran"
    assert_has "no access with **********************"
    [ "$(lbctl logs "$ran" 2>/dev/null)" = "as **********************" ]
    not grep -q "$value" "$demo/out/one.seen"
    await "the history has it" stored_is 1 "SELECT count(*) FROM job_history WHERE run = '$ran'"
    lbctl store check
    grep -q 'sealed to 2 servers' <<<"$(lbctl audit show "$(lbctl audit list --verb secret-put \
        --json -n 1 | jq -r .number)")"
    not grep -raqF "$value" "$demo/broker" "$demo/broker.log" "$demo"/etl[12]/{etc,var,run} \
        "$demo"/etl[12].log "$demo/admin" "$demo/anna"
}

@test "the memory of broker, worker and runner has no value; a core of them tells nothing" {
    [ "$(id -u)" -eq 0 ] || skip "only root reads the memory of others"
    python - "$value" $(cat "$demo/broker.pid" "$demo/etl1.pid") "$(runner_pid etl1)" <<'END'
import re, sys
value = sys.argv[1].encode()
for pid in sys.argv[2:]:
    read = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            low, high, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if not mode.startswith("rw"):
                continue
            try:
                mem.seek(int(low, 16))
                data = mem.read(int(high, 16) - int(low, 16))
            except (OSError, ValueError, OverflowError):
                continue
            read += len(data)
            assert value not in data, f"process {pid} has the value in its memory"
    assert read > 100000, f"nothing was read of process {pid}"
END
}

@test "a caller names a secret in a call, if they have the right" {
    run as emma lbsubmit --package login --pool etl -p 'password={secret: db}' \
        -p "file=$demo/out/three" --quiet
    [ "$status" -eq 0 ]
    [ "$(cat "$demo/out/three")" = "$(digest "$value")" ]
    run as anna lbsubmit --package login --pool etl -p 'password={secret: db}' \
        -p "file=$demo/out/four"
    [ "$status" -ne 0 ]
    assert_has "principal 'anna' may not secret db@etl"
    [ ! -e "$demo/out/four" ]
    run as emma lbsubmit --package login --pool etl -p 'password={secret: db}' \
        -p 'file={secret: db}'
    [ "$status" -eq 2 ]
    assert_has "parameter 'file' takes no secret, since it is not sensitive"
}

@test "a job that declares a sensitive parameter passes a secret on to its step" {
    cat >"$demo/etl1/etc/jobs/passes.yaml" <<END
job: passes
parameters:
  pw: {type: string, required: true, sensitive: true}
  file: {type: string, required: true}
steps:
  - name: login
    package: login
    parameters: {password: "{{pw}}", file: "{{file}}"}
END
    await "etl1 has the job" has_job passes etl1
    run as emma call --wait passes etl1 'pw={"secret": "db"}' "file=$demo/out/passes"
    field .status succeeded
    [ "$(cat "$demo/out/passes")" = "$(digest "$value")" ]
    run as emma call --wait passes etl1 pw=plain 'file={"secret": "db"}'
    field .status refused
    assert_has "'file' takes no secret, since it is not sensitive"
}

@test "a plan names a secret" {
    cat >"$demo/plan.yaml" <<END
parent: plan-with-secret
tasks:
  login:
    package: login
    pool: etl
    parameters: {password: {secret: db}, file: $demo/out/plan}
END
    run as emma lbsubmit "$demo/plan.yaml" --quiet
    [ "$status" -eq 0 ]
    [ "$(cat "$demo/out/plan")" = "$(digest "$value")" ]
}

@test "who has no right to put, cannot; the value is never an argument" {
    run as anna sh -c 'echo x | lbctl secret put db --to etl'
    [ "$status" -eq 3 ]
    assert_has "may not secret db@etl"
    run as dora sh -c 'echo x | lbctl secret put other --to etl'
    [ "$status" -eq 3 ]
    run lbctl secret put db --to etl not-an-option </dev/null
    [ "$status" -eq 2 ]
    run sh -c 'printf "" | lbctl secret put db --to etl'
    [ "$status" -eq 2 ]
    assert_has "the value is empty"
    run sh -c 'printf "\377\376" | lbctl secret put db --to etl'
    assert_has "base64"
    run sh -c 'head -c 70000 /dev/zero | tr "\0" x | lbctl secret put db --to etl'
    [ "$status" -eq 2 ]
    assert_has "more than 65536 bytes"
    run sh -c 'echo x | lbctl secret put Db --to etl'
    [ "$status" -eq 2 ]
    run sh -c 'echo x | lbctl secret put db --to nowhere'
    [ "$status" -eq 3 ]
    assert_has "no server or pool is named 'nowhere'"
    lbctl audit list --decision denied --json | grep -q '"principal":"anna"'
}

@test "a new version takes the place of the old one, and the list says who put what when" {
    printf 'second\n' | as dora lbctl secret put db --to etl
    run lbctl secret show db --json
    field .version 2
    field .by dora
    field .servers 2
    field '.at | test("^20..-")' true
    python "$BATS_TEST_DIRNAME/schema.py" secret 1 <<<"$output"
    run lbctl secret list
    assert_has dora
    await "etl1 has the new one" came 2
    run as anna call --wait nightly etl1 "file=$demo/out/five" fail=no
    field .status succeeded
    [ "$(tail -n 1 "$demo/out/five")" = "$(digest second)" ]
    run lbctl secret show nothing
    [ "$status" -eq 3 ]
    assert_has "there is no secret 'nothing'"
}

@test "a server that joins later lacks the secret, says so, and gets no call that needs it" {
    join_server etl3 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl3/etc/trust/signers"
    start_server etl3
    deploy login etl
    [ "$(lacks db)" = etl3 ]
    job etl3 later db
    await "etl3 has the job" has_job later etl3
    await "etl3 says that it lacks it" holds etl3 db false
    local run
    run=$(as anna call later etl3 "file=$demo/out/later" fail=no)
    await "the run waits and says why" sh -c \
        "lbctl explain $run | grep -q \"secret 'db' is not sealed to this server; put it again\""
    [ ! -e "$demo/out/later" ]
    put db etl third
    await "it has run" ended "$run"
    [ "$(cat "$demo/out/later")" = "$(digest third)" ]
    [ "$(lacks db)" = "" ]
}

@test "a dropped secret is gone from the servers, and its jobs say so" {
    lbctl secret drop db --to etl
    await "etl1 knows" holds etl1 db false
    local run
    run=$(as anna call nightly etl1 "file=$demo/out/six" fail=no)
    await "the run says why it waits" sh -c \
        "lbctl explain $run | grep -q \"secret 'db' was dropped by\""
    lbctl cancel "$run"
    [ "$(lbctl secret list --json)" = "" ]
    run lbctl secret drop db --to etl
    [ "$status" -eq 3 ]
    assert_has "no secret 'db' is put to 'etl'"
    [ ! -e "$demo/out/six" ]
}

@test "a document that the worker puts there itself is not used" {
    put db etl fourth
    await "etl1 holds it" holds etl1 db true
    as etl1 cp "$demo/etl1/var/secrets/db" "$demo/etl1/var/secrets/db.old"
    put db etl fifth
    await "the new one has come" sh -c \
        "! cmp -s '$demo/etl1/var/secrets/db' '$demo/etl1/var/secrets/db.old'"
    run as anna call --wait nightly etl1 "file=$demo/out/seven" fail=no
    field .status succeeded
    mv "$demo/etl1/var/secrets/db.old" "$demo/etl1/var/secrets/db"
    run as anna call --wait nightly etl1 "file=$demo/out/eight" fail=no
    assert_has "in an older version than one that was used here before"
    [ ! -e "$demo/out/eight" ]
}
