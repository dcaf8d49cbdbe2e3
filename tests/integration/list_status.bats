#!/usr/bin/env bats
# list, status, inspect, clean: what they answer.

load harness

@test "list on an empty host is 0 and empty" {
    expect 0 drunner list
    expect 0 drunner list --json
    equals 0 "$(jq '[.. | objects | select(has("name"))] | length' <<<"$output")"
}

@test "list names each service once, and only what is installed" {
    expect 0 drunner install dtest one
    expect 0 drunner install helloworld two
    expect 0 drunner list
    equals 1 "$(grep -cw one <<<"$output")"
    equals 1 "$(grep -cw two <<<"$output")"
    expect 0 drunner uninstall one
    expect 0 drunner list
    equals 0 "$(grep -cw one <<<"$output" || true)"
    expect 0 drunner obliterate one
}

@test "status is 0 for a whole service, 1 for a broken one, and says what to type" {
    expect 0 drunner install dtest
    expect 0 drunner status dtest
    rm "$DRUNNER_PREFIX/usr/local/bin/dtest"
    expect 1 drunner status dtest
    contains "$output$stderr" "drunner recover dtest"
    expect 0 drunner recover dtest
    expect 0 drunner status dtest
}

@test "status of what is not installed is 1" {
    refused nosuch drunner status nosuch
}

@test "what is kept on the engine for drunner alone is not shown" {
    expect 0 drunner install dtest
    expect 0 drunner status dtest
    [[ $output != *drunner-keep* ]]
    expect 0 drunner list
    [[ $output != *drunner-keep* ]]
}

@test "inspect tells the image, the volumes and the release" {
    expect 0 drunner install dtest
    expect 0 drunner inspect dtest --json
    contains "$output" "$(image_id dtest)"
    contains "$output" drunner-dtest-varlibwitness
    expect 0 drunner inspect dtest
    refused nosuch drunner inspect nosuch
}

@test "clean removes what nothing uses and nothing else" {
    expect 0 drunner install dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    run drunner clean
    [[ $status == 0 || $status == 3 ]]
    expect 3 drunner clean
    expect 0 drunner status dtest
    expect 0 dtest image
    equals 2 "$output"
}

@test "readers ask the engine only for reading" {
    proxy_start
    expect 0 drunner install dtest
    : >"$PROXY_RECORD"
    local words
    for words in list "status dtest" "inspect dtest"; do
        # shellcheck disable=SC2086  # the words of a command line
        expect 0 drunner $words
    done
    equals "" "$(changing_requests)"
}
