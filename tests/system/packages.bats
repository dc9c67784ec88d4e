# Packages: built reproducibly, signed, brought to servers that are there and that were away;
# altered ones are refused.
load helpers

setup_file() {
    new_cluster etl1 etl2
    new_package do shell 'eval "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy do etl
    lbpkg keygen --key "$demo/stranger.key"
}
teardown_file() { end_cluster; }
setup() { enter; }

has_package() { # has_package SERVER HASH: in working order
    lbctl servers "$1" --json | jq -e --arg h "$2" \
        '.packages[] | select(.hash == $h and (.trouble // "") == "")'
}

in_trouble() { # in_trouble SERVER HASH: the sentence
    lbctl servers "$1" --json | jq -er --arg h "$2" \
        '.packages[] | select(.hash == $h).trouble | select(. != "" and . != "on its way")'
}

hash_of() {
    lbpkg show "$demo/$1.lbp" --json | jq -r .hash
}

# signed VERSION [KEY]: do, at another version, as $demo/do-VERSION.lbp
signed() {
    rm -rf "$demo/src-v"
    cp -r "$demo/src-do" "$demo/src-v"
    sed -i "s/^version: .*/version: $1/" "$demo/src-v/package.yaml"
    lbpkg build "$demo/src-v" -o "$demo/do-$1.lbp"
    lbpkg sign "$demo/do-$1.lbp" ${2:+--key "$2"}
}

@test "the same folder gives the same bytes, whoever builds it, whenever" {
    cp -r "$demo/src-do" "$demo/elsewhere"
    mkdir -p "$demo/elsewhere/sub/empty" "$demo/src-do/sub"
    printf 'b\n' | tee "$demo/elsewhere/sub/b" >"$demo/src-do/sub/b"
    printf 'a\n' | tee "$demo/src-do/sub/a" >"$demo/elsewhere/sub/a"
    touch -d 2001-02-03 "$demo/elsewhere/main" "$demo/elsewhere/sub/a"
    (umask 077 && cp "$demo/elsewhere/package.yaml" "$demo/p" &&
        mv "$demo/p" "$demo/elsewhere/package.yaml")
    lbpkg build "$demo/src-do" -o "$demo/one.lbp" >"$demo/one"
    (cd "$demo/elsewhere" && TZ=Asia/Tokyo LC_ALL=C LONGBOAT_HOME=$demo/nobody lbpkg build . \
        -o "$demo/two.lbp") >"$demo/two"
    cmp "$demo/one.lbp" "$demo/two.lbp"
    [ "$(grep -o 'blake2b:.*' "$demo/one")" = "$(grep -o 'blake2b:.*' "$demo/two")" ]
    printf 'c\n' >"$demo/elsewhere/sub/a"
    lbpkg build "$demo/elsewhere" -o "$demo/three.lbp"
    not cmp -s "$demo/one.lbp" "$demo/three.lbp"
    rm -r "$demo/src-do/sub"
}

@test "lint and build name every problem at once, with file and line" {
    mkdir -p "$demo/wrong"
    printf '%s\n' 'name: wrong' 'version: x1' 'subsystem: Magic!' 'entry: main' \
        'parameters:' '  a: {type: number}' 'nonsense: 1' >"$demo/wrong/package.yaml"
    run lbpkg lint "$demo/wrong"
    [ "$status" -eq 1 ]
    for what in package.yaml:2: package.yaml:3: package.yaml:6: package.yaml:7: Magic number \
        nonsense; do
        assert_has "$what"
    done
    run lbpkg build "$demo/wrong" -o "$demo/wrong.lbp"
    [ "$status" -ne 0 ]
    [ ! -e "$demo/wrong.lbp" ]
    printf 'name: wrong\nname: again\nversion: 1.0.0\n' >"$demo/wrong/package.yaml"
    run lbpkg lint "$demo/wrong"
    [ "$status" -eq 1 ]
    assert_has package.yaml:2:
}

@test "verify and deploy refuse an archive that was altered anywhere" {
    local at size refused=0
    size=$(stat -c %s "$demo/do.lbp")
    cp "$demo/do.lbp.minisig" "$demo/bad.lbp.minisig"
    for at in 0 4 40 $((size / 4)) $((size / 2)) $((size * 3 / 4)) $((size - 1)); do
        python - "$demo/do.lbp" "$demo/bad.lbp" "$at" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[3])] ^= 0x10
open(sys.argv[2], "wb").write(data)
END
        run lbpkg verify "$demo/bad.lbp"
        [ "$status" -eq 3 ]
        run lbpkg deploy "$demo/bad.lbp" --to etl
        [ "$status" -ne 0 ]
    done
    head -c $((size - 10)) "$demo/do.lbp" >"$demo/bad.lbp"
    run lbpkg verify "$demo/bad.lbp"
    [ "$status" -eq 3 ]
    cp "$demo/do.lbp" "$demo/bad.lbp"
    sed -i '2s/^...../AAAAA/' "$demo/bad.lbp.minisig"
    run lbpkg verify "$demo/bad.lbp"
    [ "$status" -eq 3 ]
}

@test "an unsigned package is not deployed, and the remedy is named" {
    cp "$demo/do.lbp" "$demo/unsigned.lbp"
    run lbpkg deploy "$demo/unsigned.lbp" --to etl
    [ "$status" -eq 2 ]
    assert_has "lbpkg sign"
}

@test "a deployed package reaches every server of the pool, and list says so" {
    local h
    h=$(hash_of do)
    has_package etl1 "$h"
    has_package etl2 "$h"
    run lbpkg list --json
    [ "$(jq -r 'select(.name == "do") | .hash' <<<"$output")" = "$h" ]
    run lbpkg list --servers --json
    echo "$output"
    [ "$(jq -s 'map(select(.name == "do")) | length' <<<"$output")" = 2 ]
    lbpkg list | grep -q '^do .*etl'
    # a signer has one form everywhere
    [ "$(jq -rs 'map(select(.name == "do"))[0].signer' <<<"$output")" = \
        "$(lbpkg show "$demo/do.lbp" --json | jq -r .signer)" ]
}

@test "a server that was away catches up when it returns" {
    local h
    halt etl2
    await "it is gone" sh -c "! lbctl servers etl2 --json | grep -q '\"state\":\"up\"'"
    signed 1.1.0
    h=$(lbpkg show "$demo/do-1.1.0.lbp" --json | jq -r .hash)
    lbpkg deploy "$demo/do-1.1.0.lbp" --to etl
    await "the one that is there has it" has_package etl1 "$h"
    run has_package etl2 "$h"
    [ "$status" -ne 0 ]
    start_server etl2
    await "the other has it, too" has_package etl2 "$h"
    run call --wait package:do etl2 'text=exit 0'
    field .status succeeded
}

@test "a package of several chunks arrives whole" {
    local r
    new_package big shell 'cat "$(dirname "$0")/blob" | sha256sum | cut -c1-64'
    head -c 3500000 /dev/urandom >"$demo/src-big/blob"
    lbpkg build "$demo/src-big" -o "$demo/big.lbp"
    lbpkg sign "$demo/big.lbp"
    [ "$(stat -c %s "$demo/big.lbp")" -gt 3000000 ]
    deploy big etl
    run call --wait package:big etl2
    field .status succeeded
    [ "$(lbctl logs "$(jq -r .run <<<"$output")")" = \
        "$(sha256sum "$demo/src-big/blob" | cut -c1-64)" ]
}

@test "a deployment is complete after the broker was killed in the middle of it" {
    local h
    head -c 6000000 /dev/urandom >"$demo/src-big/blob"
    sed -i 's/^version: .*/version: 2.0.0/' "$demo/src-big/package.yaml"
    lbpkg build "$demo/src-big" -o "$demo/big.lbp"
    lbpkg sign "$demo/big.lbp"
    h=$(hash_of big)
    lbpkg deploy "$demo/big.lbp" --to etl &
    await "some of it is in the depot" \
        sh -c "find $demo/broker/var/depot -name '*${h#blake2b:}*' -size +256k | grep -q ."
    kill9 broker
    wait $! || lbpkg deploy "$demo/big.lbp" --to etl
    await "etl1 has it" has_package etl1 "$h"
    await "etl2 has it" has_package etl2 "$h"
}

@test "each server refuses a package signed by a stranger and says why; the trusted one goes on" {
    local h
    signed 6.6.6 "$demo/stranger.key"
    h=$(lbpkg show "$demo/do-6.6.6.lbp" --json | jq -r .hash)
    run lbpkg verify "$demo/do-6.6.6.lbp"
    [ "$status" -eq 3 ]
    lbpkg deploy "$demo/do-6.6.6.lbp" --to etl
    await "the server says why" in_trouble etl1 "$h"
    run in_trouble etl1 "$h"
    assert_has "not trusted here"
    run lbpkg list --servers
    assert_has "not trusted here"
    run lbctl servers
    assert_has "not trusted here"
    [ ! -e "$demo/etl1/var/packages/${h#blake2b:}" ]
    run call --wait package:do etl1 'text=exit 0'
    field .status succeeded
    field '.steps[0].package_name' do
}

@test "the depot refuses bytes that do not match their hash" {
    python "$BATS_TEST_DIRNAME/wire.py" wrong_hash "$demo"
}

@test "a server refuses bytes or a signature that were altered in the depot" {
    local h file
    signed 1.2.0
    h=$(lbpkg show "$demo/do-1.2.0.lbp" --json | jq -r .hash)
    halt etl2
    await "it is gone" sh -c "! lbctl servers etl2 --json | grep -q '\"state\":\"up\"'"
    lbpkg deploy "$demo/do-1.2.0.lbp" --to etl
    await "etl1 has the good one" has_package etl1 "$h"
    file=$demo/broker/var/depot/${h#blake2b:}
    chmod u+w "$file"
    printf 'X' | dd of="$file" bs=1 seek=200 conv=notrunc status=none
    start_server etl2
    await "etl2 refuses it" in_trouble etl2 "$h"
    [ ! -e "$demo/etl2/var/packages/${h#blake2b:}" ]
    in_trouble etl2 "$h"
    cp "$demo/do-1.2.0.lbp" "$file"
    kill -HUP "$(cat "$demo/etl2.pid")"
    await "and takes it when it is good again" has_package etl2 "$h"
}

@test "a package that other users of the server may write is not run" {
    local h
    new_package fixed shell 'echo good'
    deploy fixed etl1
    h=$(hash_of fixed)
    chmod 777 "$demo/etl1/var/packages/${h#blake2b:}"
    run call --wait package:fixed etl1
    field .delivery refused
    field .code 20
    assert_has "can be written by others"
    chmod 755 "$demo/etl1/var/packages/${h#blake2b:}"
    run call --wait package:fixed etl1
    field .status succeeded
}

@test "an unmet need keeps the package off the server, and explain names it" {
    local r
    new_package needy shell 'cat "'"$demo"'/source"' "needs:
  - path: $demo/source
  - command: sh"
    deploy needy etl
    r=$(call package:needy etl)
    [ "$(state_of "$r")" = parked ]
    run lbctl explain "$r"
    assert_has "$demo/source"
    echo data >"$demo/source"
    kill -HUP "$(cat "$demo/etl1.pid")"
    await "it runs when the path is there" ended "$r"
    [ "$(status_of "$r")" = succeeded ]
}

@test "deploying to an unknown name, or without the grant, is refused" {
    run lbpkg deploy "$demo/do.lbp" --to nowhere
    [ "$status" -eq 3 ]
    assert_has nowhere
    join_principal carl 'call *@all'
    run as carl lbpkg deploy "$demo/do.lbp" --to etl
    [ "$status" -eq 3 ]
    assert_has "carl"
}

@test "new packages of each kind build and run unchanged" {
    local kind
    for kind in exec shell python; do
        lbpkg new "fresh-$kind" --kind "$kind" --into "$demo/fresh-$kind"
        lbpkg lint "$demo/fresh-$kind"
        lbpkg build "$demo/fresh-$kind" -o "$demo/fresh-$kind.lbp"
        lbpkg sign "$demo/fresh-$kind.lbp"
        deploy "fresh-$kind" etl1
        run lbsubmit --package "fresh-$kind" --server etl1
        echo "$output"
        [ "$status" -eq 0 ]
    done
}
