#!/usr/bin/env bats
# Images that mean harm: refused, nothing of them executed, the terminal left alone.

# shellcheck disable=SC2154 # stderr is set by run

load harness

# helloworld, with one thing changed by a Dockerfile line: its tag is `mischief`.
build_mischief() { # DOCKERFILE-LINE...
    local directory
    directory=$(copy_of helloworld)
    sed -i '/^USER /d' "$directory/Dockerfile"
    printf 'USER 0\n' >>"$directory/Dockerfile"
    printf '%s\n' "$@" 'USER druser' >>"$directory/Dockerfile"
    build_directory "$directory" mischief
}

# A file that only a script of the image could have made.
canary_is_absent() {
    [[ ! -e $CANARY ]] || {
        printf 'executed: %s\n' "$CANARY"
        return 1
    }
}

is_turned_away() { # EXTENDED-REGULAR-EXPRESSION
    CANARY=$BATS_TEST_TMPDIR/canary
    refused "$1" drunner install mischief
    [[ $stderr != *$'\e'* && $stderr != *$'\r'* ]]
    expect 1 drunner checkimage mischief
    [[ $output$stderr != *$'\e'* && $output$stderr != *$'\r'* ]]
    expect 1 drunner test mischief
    [[ $output$stderr != *$'\e'* && $output$stderr != *$'\r'* ]]
    canary_is_absent
}

# Everything that could run leaves the canary.
armed() {
    printf '#!/bin/bash\ntouch %s /etc/drunner-canary\n' "$BATS_TEST_TMPDIR/canary"
}

@test "a servicecfg.sh that writes to /etc" {
    local directory
    directory=$(copy_of helloworld)
    { armed && printf 'set -e\nVOLUMES=($(touch /etc/drunner-canary && echo /data))\n'; } \
        >"$directory/drunner/servicecfg.sh"
    sed -i 's/^touch/set -e; touch/' "$directory/drunner/servicecfg.sh"
    armed >"$directory/drunner/servicerunner"
    build_directory "$directory" mischief
    is_turned_away 'servicecfg.sh'
    [[ ! -e /etc/drunner-canary ]]
}

@test "/drunner is a symbolic link" {
    build_mischief 'RUN mv /drunner /elsewhere && ln -s /elsewhere /drunner'
    is_turned_away 'drunner'
    build_mischief 'RUN rm -r /drunner && ln -s / /drunner'
    is_turned_away 'drunner'
}

@test "a servicerunner of 2 GiB" {
    build_mischief 'RUN truncate -s 2G /drunner/servicerunner'
    is_turned_away 'larger|large|more than'
}

@test "a device node, a set-id file" {
    build_mischief 'RUN mknod /drunner/disk b 8 0'
    is_turned_away 'disk'
    build_mischief 'RUN cp /bin/sh /drunner/sh && chmod 4755 /drunner/sh'
    is_turned_away 'sh'
}

@test "names with newlines and escape sequences" {
    build_mischief 'RUN touch "$(printf "/drunner/a\\nb")"'
    is_turned_away 'a\\x0ab'
    build_mischief 'RUN touch "$(printf "/drunner/\\033]0;owned\\007\\033[2J")"'
    is_turned_away '\\x1b'
}
