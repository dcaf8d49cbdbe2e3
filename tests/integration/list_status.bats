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

@test "list and status --all ask the engine as often for three services as for one" {
    local command
    proxy_start
    expect 0 drunner install helloworld one
    for command in "list" "list --all" "status --all"; do
        : >"$PROXY_RECORD"
        # shellcheck disable=SC2086  # the words of a command line
        expect 0 drunner $command
        requests | sort >"$command.one"
    done
    expect 0 drunner install dtest two
    expect 0 drunner install helloworld three
    for command in "list" "list --all" "status --all"; do
        : >"$PROXY_RECORD"
        # shellcheck disable=SC2086
        expect 0 drunner $command
        same "$(<"$command.one")" "$(requests | sort)"
        (($(requests | wc -l) <= 4))
    done
}

@test "status --all: a line each, 1 where one is broken" {
    expect 0 drunner status --all
    contains "$output" "no service is installed"
    expect 0 drunner install dtest one
    expect 0 drunner install helloworld two
    expect 0 drunner status --all
    equals 'one whole|two whole' "$(awk 'NR > 1 {print $1, $2}' <<<"$output" | paste -sd '|')"
    "$DOCKER" rm --force drunner-keep-one >/dev/null
    rm "$DRUNNER_PREFIX/usr/local/bin/two"
    expect 1 drunner status --all --json
    equals '[["one","keep-container"],["two","launcher"]]' \
        "$(jq -c '[.services[] | [.service, .problems[0].id]]' <<<"$output")"
    # What status says of one, status --all says as well.
    local all=$output
    expect 1 drunner status one --json
    same "$(jq -S 'del(.command)' <<<"$output")" "$(jq -S '.services[0]' <<<"$all")"
    expect 1 drunner status --all
    contains "$output" "drunner recover two"
    expect 0 drunner recover one
    expect 0 drunner recover two
}

@test "list --all shows what an uninstall kept" {
    expect 0 drunner install dtest one
    expect 0 drunner install helloworld two
    printf '0123456789' >"$(mount_point drunner-one-data)/kept"
    expect 0 drunner list --all
    equals 0 "$(grep -c drunner-one-data <<<"$output" || true)"
    expect 0 drunner uninstall one
    expect 0 drunner list
    equals 0 "$(grep -c drunner-one-data <<<"$output" || true)"
    expect 0 drunner list --all
    grep -qE '^one +drunner-one-data +10 B +20' <<<"$output"
    expect 0 drunner list --all --json
    equals '[["one","drunner-one-data","/data",10],["one","drunner-one-varlibwitness","/var/lib/witness",0]]' \
        "$(jq -c '[.left[] | [.service, .volume, .path, .size]]' <<<"$output")"
    # Another installation's are not ours.
    DRUNNER_PREFIX=$BATS_TEST_TMPDIR/other expect 0 drunner list --all --json
    equals '[]' "$(jq -c .left <<<"$output")"
    refused "exclude each other" drunner list --all --names
    expect 0 drunner obliterate --purge one
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

@test "logs prints what a service's containers say, each line with its name, and follows them" {
    expect 0 drunner install steady
    "$DOCKER" run -d --name steady-a --label drunner.service=steady "$BASE_IMAGE" \
        /bin/sh -c 'echo one; echo two; echo bad >&2; printf half' >/dev/null
    "$DOCKER" run -d --name steady-b --label drunner.service=steady "$BASE_IMAGE" \
        /bin/sh -c 'echo begun; until [ -e /go ]; do sleep 0.1; done; echo done' >/dev/null
    "$DOCKER" wait steady-a >/dev/null
    expect 0 drunner logs steady
    equals $'steady-a | one\nsteady-a | two\nsteady-a | half\nsteady-b | begun' "$output"
    equals 'steady-a | bad' "$stderr"
    expect 0 drunner logs steady -n 1
    equals 'steady-a | half' "$(grep steady-a <<<"$output")"
    expect 0 drunner logs steady --json
    equals '["one\ntwo\nhalf","bad\n"]' \
        "$(jq -c '.containers[] | select(.container == "steady-a") | [.stdout, .stderr]' <<<"$output")"

    drunner logs -f steady >followed 2>&1 3>&- &
    local follower=$!
    until grep -q begun followed; do sleep 0.1; done
    "$DOCKER" exec steady-b touch /go
    "$DOCKER" stop -t 5 steady >/dev/null
    wait "$follower"
    grep -qx 'steady-b | done' followed
    # A signal ends it as well, and its exit is an error as everywhere.
    "$DOCKER" start steady >/dev/null
    drunner logs -f steady >followed 2>&1 3>&- &
    follower=$!
    until grep -q 'steady-b | done' followed; do sleep 0.1; done
    kill -TERM "$follower"
    local code=0
    wait "$follower" || code=$?
    equals 1 "$code"

    refused "'nosuch' is not installed" drunner logs nosuch
    expect 0 drunner install helloworld
    expect 0 drunner logs helloworld
    contains "$stderr" "has no container"
}

@test "metrics tells Prometheus of services, backups and operations" {
    expect 0 drunner install steady
    expect 0 drunner install dtest
    expect 0 drunner backup dtest "$PWD/b"
    expect 0 drunner hold dtest
    rm "$DRUNNER_PREFIX/var/lib/drunner/services/steady/drunner/servicerunner"
    expect 0 drunner metrics
    contains "$output" 'drunner_services 2'
    contains "$output" 'drunner_service_state{service="steady",state="broken"} 1'
    contains "$output" 'drunner_service_containers_running{service="steady"} 1'
    contains "$output" 'drunner_service_release{service="dtest",reference="dtest"} 1'
    contains "$output" 'drunner_service_held{service="dtest"} 1'
    contains "$output" 'drunner_operations{command="install",exit="0"} 2'
    local at
    at=$(date -d "$(jq -r .last_backup.at "$DRUNNER_PREFIX/var/lib/drunner/services/dtest/service.json")" +%s)
    equals "$at" "$(sed -n 's/^drunner_service_backup_timestamp_seconds{service="dtest"} //p' <<<"$output" |
        xargs printf '%.0f')"
    # Every line is a comment or a sample, and every sample's family was declared before it.
    equals "" "$(grep -vE '^(# (HELP|TYPE) drunner_[a-z_]+ .+|drunner_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+)$' <<<"$output" || true)"
    equals "" "$(awk '/^# TYPE/ { seen[$3] = 1; next } /^[^#]/ { sub(/[{ ].*/, ""); if (!seen[$0]) print }' <<<"$output")"
    umask 077
    expect 0 drunner metrics --output drunner.prom
    equals 644 "$(stat -c %a drunner.prom)"
    grep -q '^drunner_services 2$' drunner.prom
    expect 0 drunner recover steady
}
