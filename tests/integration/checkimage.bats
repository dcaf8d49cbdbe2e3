#!/usr/bin/env bats
# checkimage: each rule that is broken has its own message.

load harness

@test "the images of services/ pass" {
    local name
    for name in dtest helloworld simplesecrets; do
        expect 0 drunner checkimage "$name"
    done
}

@test "each broken rule has its own message" {
    local name
    : >messages
    for name in as-root no-servicerunner no-servicecfg volume-relative volume-collision \
        hostile-symlink hostile-setid hostile-fifo; do
        expect 1 drunner checkimage "$name"
        [[ -n $output$stderr ]]
        printf '%s\n' "$output" "$stderr" | sed "s/$name/IMAGE/g" | paste -sd ' ' >>messages
    done
    equals 8 "$(sort -u messages | wc -l)"
}

@test "checkimage changes nothing and runs nothing of the image" {
    local before
    before=$(snapshot)
    proxy_start
    expect 0 drunner checkimage dtest
    equals 0 "$(grep -c '/start' "$PROXY_RECORD" || true)"
    proxy_stop
    same "$before" "$(snapshot)"
}

@test "an image that is nowhere is 1" {
    refused nosuchimage drunner checkimage "$REGISTRY/nosuchimage"
}
