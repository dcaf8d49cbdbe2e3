#!/usr/bin/env bats
# The main job from one end to the other, each command as the tour in README.md types it.

load harness

@test "a service is installed, used, updated, backed up, obliterated and restored" {
    expect 0 drunner install dtest
    expect 3 drunner install dtest
    expect 0 dtest help
    expect 0 dtest write greeting "hello from dtest"
    expect 0 dtest read greeting
    equals "hello from dtest" "$output"

    expect 3 drunner update dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 dtest image
    equals 1 "$output"
    expect 0 drunner update dtest
    expect 0 dtest image
    equals 2 "$output"
    expect 0 dtest read greeting
    equals "hello from dtest" "$output"

    expect 0 drunner backup dtest b
    expect 0 drunner obliterate dtest
    expect 3 drunner obliterate dtest
    [[ ! -e $DRUNNER_PREFIX/usr/local/bin/dtest ]]

    expect 0 drunner restore b copy
    expect 0 copy read greeting
    equals "hello from dtest" "$output"

    expect 0 drunner uninstall copy
    expect 3 drunner uninstall copy
    equals "drunner-copy-data drunner-copy-varlibwitness" \
        "$("$DOCKER" volume ls --quiet | sort | xargs)"
    expect 0 drunner install dtest copy
    expect 0 copy read greeting
    equals "hello from dtest" "$output"
    expect 0 drunner obliterate copy
    equals "" "$(engine_objects)"
}

@test "helloworld, which has no volumes, goes the same way" {
    expect 0 drunner install helloworld
    expect 0 helloworld hello you
    equals "Hello, you!" "$output"
    expect 3 drunner update helloworld
    expect 0 drunner backup helloworld b
    expect 0 drunner obliterate helloworld
    expect 0 drunner restore b
    expect 0 helloworld hello
    equals "Hello, world!" "$output"
    expect 0 drunner uninstall helloworld
    equals "" "$(engine_objects)"
}

@test "simplesecrets keeps what it is given on stdin, through backup and restore" {
    expect 0 drunner install simplesecrets
    head -c 5000 /dev/urandom >secret
    simplesecrets store key <secret
    expect 0 drunner backup simplesecrets b
    expect 0 drunner obliterate simplesecrets
    expect 0 drunner restore b
    simplesecrets show key | cmp - secret
    expect 3 simplesecrets remove nosuch
}

@test "a service that runs is stopped and started by its own hooks" {
    expect 0 drunner install longrunner
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    "$DOCKER" tag longrunner-2 longrunner
    expect 0 drunner update longrunner
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    expect 0 drunner backup longrunner b
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    expect 0 drunner obliterate longrunner
    equals "" "$(engine_objects)"
    expect 0 drunner restore b
    expect 0 longrunner log
    contains "$output" started
}
