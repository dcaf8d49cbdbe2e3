#!/usr/bin/env bats
# Launchers: the name that drunner was called by.

load harness

@test "a launcher finds its prefix from where it stands" {
    expect 0 drunner install dtest
    expect 0 env -u DRUNNER_PREFIX "$DRUNNER_PREFIX/usr/local/bin/dtest" version
    equals 1 "$output"
    cd /
    expect 0 env -u DRUNNER_PREFIX dtest version
    equals 1 "$output"
}

@test "a binary whose name begins with drunner is drunner" {
    ln -s "$DRUNNER_BINARY" drunner-new
    expect 0 ./drunner-new --version
    contains "$output" drunner
}

@test "a link with the name of no service says so" {
    ln -s "$DRUNNER_BINARY" "$DRUNNER_PREFIX/usr/local/bin/nosuchservice"
    expect 1 nosuchservice help
    says nosuchservice
}

@test "a launcher that somebody replaced is not removed with the service" {
    expect 0 drunner install dtest
    rm "$DRUNNER_PREFIX/usr/local/bin/dtest"
    echo mine >"$DRUNNER_PREFIX/usr/local/bin/dtest"
    expect 0 drunner uninstall dtest
    equals mine "$(cat "$DRUNNER_PREFIX/usr/local/bin/dtest")"
    rm "$DRUNNER_PREFIX/usr/local/bin/dtest"
    expect 0 drunner obliterate dtest
}

@test "the names of drunner's verbs are free for a service's own commands" {
    expect 0 drunner install dtest
    expect 1 dtest status
    contains "$stderr" "no command 'status'"
    expect 1 dtest list
    contains "$stderr" "no command 'list'"
}
