#!/usr/bin/env bats
# new: a skeleton that builds, keeps every rule, and works.

load harness

build_skeleton() { # DIRECTORY
    DOCKER_BUILDKIT=0 "$DOCKER" --host "$ENGINE" build --quiet -t demo "$1" >/dev/null
}

@test "a skeleton keeps every rule, and its service lives a whole life" {
    expect 0 drunner new demo --base "$BASE_IMAGE"
    expect 0 drunner checkimage ./demo --level 8
    build_skeleton demo
    expect 0 drunner checkimage demo --level 8
    [[ $output != *error:* && $output != *warning:* ]]
    expect 0 drunner install demo
    expect 0 demo selftest
    expect 3 demo start
    expect 0 demo stop
    expect 0 demo start
    expect 0 drunner backup demo b.tar.zst
    expect 0 drunner restore b.tar.zst demo-copy
    expect 0 demo-copy selftest
    expect 0 drunner uninstall demo-copy
    expect 0 drunner obliterate demo-copy
}

@test "a skeleton of version 2, with a port and a volume of its own" {
    expect 0 drunner new demo d/e --base "$BASE_IMAGE" --version2 --volume /var/lib/demo --port 8080
    build_skeleton d/e
    expect 0 drunner checkimage demo --level 8
    [[ $output != *error:* && $output != *warning:* ]]
    equals 2 "$(grep -c '8080' d/e/Dockerfile d/e/drunner/servicerunner | grep -c ':1$')"
}

@test "nothing is written over, and what is malformed is refused" {
    mkdir demo
    refused 'is there already' drunner new demo
    refused 'no port' drunner new other --port 70000
    refused 'absolute path' drunner new other --volume data
    refused 'volume' drunner new other --volume '/a b'
    refused 'Other' drunner new Other
    [[ ! -e other ]]
}
