# Proxies of a server: asked at every step, refused when they are wrong, looked after by lbctl.
load helpers

setup_file() {
    new_cluster etl1
    # its text runs as soon as a second builder is trusted, too
    new_package step shell 'eval "$LB_PARAM_text"' \
        'parameters: {text: {type: string, default: "true"}}'
    deploy step etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    n=$BATS_TEST_NUMBER
    job=job-$n
    proxy=p$n
    user=$(stat -c %u "$demo/etl1")
    file=$demo/etl1/etc/proxies.d/$proxy.yaml
}

# made [OPTIONS]: the proxy of this test, which serves everybody
made() {
    as etl1 lbctl proxy new "$proxy" --user "$user" --principal '*' "$@"
}

# replaced TEXT: the proxy's file says this now
replaced() {
    printf '%s\n' "$1" >"$demo/text"
    as etl1 cp "$demo/text" "$file"
}

# job_file: the steps come on standard input; the job is there when etl1 says so
job_file() {
    { printf 'job: %s\nsteps:\n' "$job"; cat; } >"$demo/etl1/etc/jobs/$job.yaml"
    await "etl1 offers $job" \
        sh -c "lbctl servers etl1 --json | jq -e '.jobs[] | select(.job == \"$job\")'"
}

one_step() {
    job_file <<END
  - {name: one, subsystem: shell, proxy: $proxy, run: '${1:-true}'}
END
}

# refused TEXT: the job is not run, and this is why
refused() {
    run call --wait "$job" etl1
    field .status "${2:-refused}"
    assert_has "$1"
}

# unoffered TEXT: nobody's step would be taken, so the server does not offer the job and says why
unoffered() {
    printf '%s' "$1" >"$demo/why"
    await "etl1 says why" sh -c "lbctl servers etl1 --json | jq -e --rawfile why '$demo/why' \
        '[.needs[] | select(.need == \"runner:$job\").trouble | contains(\$why)] | any'"
}

@test "a proxy that is revoked between two steps stops the next one, which says why" {
    local r
    made
    job_file <<END
  - name: one
    subsystem: shell
    proxy: $proxy
    run: 'touch "\$LB_PARAM_mark"; while [ ! -e "\$LB_PARAM_mark-go" ]; do sleep 0.05; done'
    parameters: {mark: "{{mark}}"}
  - {name: two, subsystem: shell, proxy: $proxy, run: "true"}
END
    witness_folder "$demo/marks"
    r=$(call "$job" etl1 "mark=$demo/marks/$n")
    await "the first step runs" test -e "$demo/marks/$n"
    as etl1 lbctl proxy revoke "$proxy" --subsystem shell --reason 'a test'
    : >"$demo/marks/$n-go"
    await "it has ended" ended "$r"
    output=$(lbctl show "$r" --json)
    field .status failed
    field '.job_outcome.steps | map(.name) | join(" ")' "one two"
    field '.job_outcome.steps[0].package.state' succeeded
    field '.job_outcome.steps[1].package.state' not_executed
    assert_has "proxy '$proxy' has no access to subsystem 'shell' (proxies.d/$proxy.yaml:"
    assert_has "lbctl proxy grant $proxy --subsystem shell"
    grep -q '"change":"subsystems shell","reason":"a test"' "$demo/etl1/etc/proxies.log"
}

@test "a principal who is not listed is refused, and served once they are" {
    as etl1 lbctl proxy new "$proxy" --user "$user" --principal 'nightly-*'
    one_step
    refused "does not serve principal 'administrator'"
    as etl1 lbctl proxy grant "$proxy" --principal administrator
    run call --wait "$job" etl1
    field .status succeeded
}

@test "a package by a signer whom the proxy does not accept is not offered" {
    made --signer bert
    job_file <<END
  - {name: one, package: step, proxy: $proxy}
END
    unoffered "accepts no package of signer 'RW"
    as etl1 lbctl proxy grant "$proxy" --signer "$(tail -n 1 "$demo/admin/etc/keys/builder.pub")"
    run call --wait "$job" etl1
    field .status succeeded
}

@test "root, users of the system and users of others are not offered" {
    run as etl1 lbctl proxy new "$proxy" --user root
    [ "$status" -eq 3 ]
    one_step
    replaced "{proxy: $proxy, user: root, subsystems: [shell], principals: ['*']}"
    unoffered "runs as user 'root', but this server's runner is user"
    unoffered "cannot switch (proxies.d/$proxy.yaml:1)"
}

@test "a file that is wrong now is named with its place, and the older one forgotten" {
    made
    one_step
    run call --wait "$job" etl1
    field .status succeeded
    replaced "{proxy: $proxy, usr: root, subsystems: [shell], principals: ['*']}"
    unoffered "proxies.d/$proxy.yaml:1:"
    unoffered "unknown key 'usr' (did you mean 'user'?)"
    rm "$file"
    unoffered "this server has no proxy '$proxy' (proxies.d/$proxy.yaml)"
}

@test "a job whose proxy others can write is not offered" {
    made
    one_step
    as etl1 chmod o+w "$file"
    unoffered "others can write to '$file'"
    as etl1 chmod o-w "$file"
    run call --wait "$job" etl1
    field .status succeeded
}

@test "without a file default is the runner's user; with one it is what the file says" {
    run call --wait package:step etl1
    field .status succeeded
    as etl1 lbctl proxy new default --user "$user" --principal nobody
    run call --wait package:step etl1
    as etl1 rm "$demo/etl1/etc/proxies.d/default.yaml"
    field .status refused
    assert_has "proxy 'default' does not serve principal 'administrator'"
}

@test "a child gets environment and credentials of its proxy, and no other sees them" {
    one_step 'cat "$LB_CREDENTIALS/wh"; tr a-z A-Z <"$LB_CREDENTIALS/wh"; echo "$REGION $USER";
        env | grep -c s3cret || true'
    echo s3cret >"$demo/etl1/etc/wh"
    give_servers "$demo/etl1/etc/wh"
    chmod 400 "$demo/etl1/etc/wh"
    made
    as etl1 sh -c "printf 'environment: {REGION: eu}\ncredentials: {wh: %s}\n' '$demo/etl1/etc/wh' \
        >>'$file'"
    run call --wait "$job" etl1
    field .status succeeded
    run lbctl logs "$(last_run "$job")"
    assert_has "******
S3CRET
eu "
    [ "${lines[-1]##* }" = 0 ]
    [ -z "$(find /dev/shm "$demo/etl1/run" -path "*credentials-*" -name wh 2>/dev/null)" ]
}

@test "a subsystem that an administrator adds runs steps" {
    made --subsystem loud --subsystem shell
    job_file <<END
  - {name: one, package: step, proxy: $proxy, parameters: {text: 'echo "\$LOUD"'}}
END
    run call --wait "$job" etl1
    field .status succeeded
    as etl1 mkdir -p "$demo/etl1/etc/subsystems.d"
    new_package loud loud 'echo "$LOUD $1"'
    printf '%s\n' 'subsystem: loud' 'command: [/bin/sh]' 'environment: {LOUD: HO}' >"$demo/text"
    as etl1 cp "$demo/text" "$demo/etl1/etc/subsystems.d/loud.yaml"
    deploy loud etl
    job=loud-$n
    job_file <<END
  - {name: one, package: loud, proxy: $proxy}
END
    run call --wait "$job" etl1
    field .status succeeded
    lbctl logs "$(last_run "$job")" | grep -q HO
}

@test "lbctl proxy test says what the runner would say" {
    local said
    made --signer bert
    one_step
    as etl1 lbctl proxy test "$proxy" --principal administrator --subsystem shell
    as etl1 lbctl proxy revoke "$proxy" --subsystem shell
    said=$(as etl1 lbctl proxy test "$proxy" --principal administrator --subsystem shell --json |
        jq -r .text)
    unoffered "$said"
    run as etl1 lbctl proxy test "$proxy" --principal administrator --package step
    [ "$status" -eq 1 ]
    assert_has "has no access to subsystem 'shell'"
    as etl1 lbctl proxy grant "$proxy" --subsystem shell
    run as etl1 lbctl proxy test "$proxy" --principal administrator --package step
    assert_has "accepts no package of signer 'RW"
}

@test "lbworker check names each step that the runner would refuse" {
    made
    one_step
    run as etl1 lbworker check
    not grep -q "FAIL *proxy *job $job" <<<"$output"
    as etl1 lbctl proxy revoke "$proxy" --subsystem shell
    run as etl1 lbworker check
    [ "$status" -eq 1 ]
    assert_has "job $job, step one: proxy '$proxy' has no access to subsystem 'shell' (proxies.d/"
    rm "$file" "$demo/etl1/etc/jobs/$job.yaml"
}

@test "the verbs keep what people wrote, and refuse what is wrong" {
    as etl1 mkdir -p "$demo/etl1/etc/proxies.d"
    replaced "proxy: $proxy   # ours
user: $user
subsystems: [exec]  # more?
principals: []"
    as etl1 lbctl proxy grant "$proxy" --principal anna --subsystem shell
    output=$(cat "$file")
    assert_has "# ours"
    assert_has 'subsystems: [exec, "shell"]  # more?'
    assert_has 'principals: ["anna"]'
    run as etl1 lbctl proxy grant "$proxy" --principal 'Anna'
    [ "$status" -eq 2 ]
    assert_has "'Anna' is not a pattern of principals"
    run as etl1 lbctl proxy new "$proxy" --user "$user"
    [ "$status" -eq 3 ]
    assert_has "exists already"
    run as etl1 lbctl proxy revoke "$proxy" --signer bert
    [ "$status" -eq 2 ]
    run as etl1 lbctl proxy grant nothing --principal anna
    [ "$status" -eq 3 ]
    assert_has "lbctl proxy new nothing"
    run as etl1 lbctl proxy shwo "$proxy"
    [ "$status" -eq 2 ]
    assert_has "did you mean 'show'?"
}

@test "list, show and test follow their schemas" {
    made
    as etl1 lbctl proxy list --json | python "$BATS_TEST_DIRNAME/schema.py" proxy 2
    as etl1 lbctl proxy show "$proxy" --json | python "$BATS_TEST_DIRNAME/schema.py" proxy 1
    as etl1 lbctl proxy test "$proxy" --json | python "$BATS_TEST_DIRNAME/schema.py" proxy-test 1
    run as etl1 lbctl proxy test nothing --json
    [ "$status" -eq 1 ]
    python "$BATS_TEST_DIRNAME/schema.py" proxy-test 1 <<<"$output"
    as etl1 lbctl proxy list | grep -q "^$proxy "
    as etl1 lbctl proxy show "$proxy" | grep -q "# runs as .*: user $user"
}
