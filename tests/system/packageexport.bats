# A package comes back from a server as the very file that was installed, and what trust/signers
# says is shown and obeyed.
load helpers

setup_file() {
    new_cluster etl1
    new_package do shell 'eval "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy do etl
}
teardown_file() { end_cluster; }
setup() { enter; }

on_etl1() { # on_etl1 COMMAND...: with the server's home
    LONGBOAT_HOME=$demo/etl1 "$@"
}

@test "export writes the bytes and the signature that were installed" {
    on_etl1 lbpkg export do -o "$demo/back.lbp" >"$demo/said"
    cmp "$demo/do.lbp" "$demo/back.lbp"
    cmp "$demo/do.lbp.minisig" "$demo/back.lbp.minisig"
    grep -qx "$demo/back.lbp $(lbpkg show "$demo/do.lbp" --json | jq -r .hash)" "$demo/said"
    lbpkg verify "$demo/back.lbp"
    minisign -V -p "$demo/admin/etc/keys/builder.pub" -m "$demo/back.lbp"
}

@test "export refuses a package that is not here, and leaves no file" {
    run on_etl1 lbpkg export nothing -o "$demo/none.lbp"
    [ "$status" -eq 2 ]
    [[ "$output" == *"nothing"* ]]
    run on_etl1 lbpkg export do@9 -o "$demo/none.lbp"
    [ "$status" -eq 2 ]
    not compgen -G "$demo/none.lbp*"
}

@test "a revoked builder's package is refused at the next step, and check says who is trusted" {
    local signers=$demo/etl1/etc/trust/signers
    cp "$signers" "$demo/signers.was"
    sed -i '$s/$/ revoked/' "$signers"
    printf 'unsigned packages=hello-*\n' >>"$signers"
    run lbsubmit --package do --server etl1 -p text=true
    [ "$status" -ne 0 ]
    [[ "$output" == *"revoked in trust/signers"* ]]
    run as etl1 lbworker check
    [[ "$output" == *"revoked"* ]]
    [[ "$output" == *"no signature is needed of packages hello-*"* ]]
    cat "$demo/signers.was" >"$signers"
    lbsubmit --package do --server etl1 -p text=true
}
