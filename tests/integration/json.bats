#!/usr/bin/env bats
# --json: one document on stdout, whatever happens.

load harness

# Runs a command with --json and demands one document; $output keeps it.
document() { # CODE ARGUMENTS...
    local code=$1
    shift
    expect "$code" drunner "$@" --json
    equals 1 "$(jq --slurp length <<<"$output")"
}

is_error() { # KIND
    equals "$1" "$(jq -r .error.kind <<<"$output")"
    equals '["kind","message","next"]' "$(jq -c '.error | keys | map(select(
        . == "kind" or . == "message" or . == "next"))' <<<"$output")"
    [[ $(jq -r .error.message <<<"$output") == [^A-Z]* ]]
}

@test "every command of a service's life answers with one document" {
    document 0 install dtest
    document 3 install dtest
    document 0 list
    document 0 status dtest
    document 0 inspect dtest
    document 3 update dtest
    document 0 backup dtest b
    document 0 checkimage dtest
    document 3 recover dtest
    document 0 secret dtest ls
    document 3 secret dtest rm nosuch
    document 3 diff dtest
    document 0 diff dtest dtest-2
    document 0 trust dtest --sha256 "$(jq -r .sha256 <<<"$output")"
    document 0 uninstall dtest
    document 3 uninstall dtest
    document 0 install dtest
    document 0 hold dtest
    document 3 update --all
    document 3 doctor
    document 0 obliterate dtest
    document 3 obliterate dtest
    document 0 undelete --list
    document 0 undelete dtest
    document 0 obliterate --purge dtest
    document 0 restore b copy
    run drunner clean --json
    jq --slurp -e 'length == 1' <<<"$output"
}

@test "--json before the command is the same" {
    expect 0 drunner --json list
    jq . <<<"$output"
}

@test "errors are documents too, with their kind" {
    document 1 install dtest ../x
    is_error invalid-name
    document 1 install a/UPPER
    is_error invalid-reference
    document 1 install "$REGISTRY/nosuchimage"
    is_error image-not-found
    document 1 install as-root
    is_error image-refused
    document 1 status nosuch
    is_error not-installed
    document 1 nosuchcommand
    is_error usage
    echo text >text
    document 1 restore text copy
    is_error archive-damaged
    DOCKER_HOST=unix:///nosuch/socket document 1 install dtest
    is_error engine-unreachable
    document 0 install dtest
    echo mine >b
    document 1 backup dtest b
    is_error file-exists
    DTEST_FAIL=backupstart document 1 backup dtest c
    is_error script-failed
}

@test "a service's own --json stays the service's" {
    expect 0 drunner install dtest
    expect 0 dtest args --json
    equals --json "$output"
}

@test "a failure that was undone says so, one that changed nothing does not" {
    drunner install dtest
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updateend document 1 update dtest
    is_error script-failed
    equals true "$(jq .error.rolled_back <<<"$output")"
    document 1 update nosuch
    equals false "$(jq .error.rolled_back <<<"$output")"
}
