#!/usr/bin/env bats
# test and dev: the whole life of an image, and its author's loop.

load harness

@test "a new image passes on the first try" {
    expect 0 drunner new demo --base "$BASE_IMAGE"
    "$DOCKER" build --quiet --force-rm -t demo demo >/dev/null
    passes 8 demo
}

@test "the services of this repository pass, and reach the last level" {
    passes 8 helloworld
    passes 8 simplesecrets --junit report.xml
    equals "$(grep -c '^  <testcase ' report.xml)" "$(grep -c '^[✔✘–]' <<<"$output")"
    grep -q 'failures="0" errors="0" skipped="0"' report.xml
    grep -q '<property name="level" value="8"/>' report.xml
}

@test "with a release to update from, as one document" {
    expect 0 drunner test dtest-2 --from dtest --json
    equals '[true,8]' "$(jq -c '[.passes, .level]' <<<"$output")"
    equals passed "$(jq -r '.steps[] | select(.name | startswith("an update from")) | .result' \
        <<<"$output")"
    equals '[]' "$(jq -c '[.steps[] | select(.result != "passed")]' <<<"$output")"
}

@test "an image that loses data and fails fails, and nothing is left of it" {
    local before directory
    directory=$(copy_of simplesecrets)
    # uninstall takes the data along, and a misspelt command succeeds.
    sed -i 's/^        die "$SERVICENAME has no command.*/        exit 0/
        s/| restore | uninstall |/| restore |/
        s/^    list) /    uninstall) in_container sh -c "rm -f \/secrets\/.drunner-witness" ;;\n    list) /' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" lossy
    before=$(snapshot)
    expect 1 drunner test lossy --junit report.xml
    contains "$output" '✘ an unknown command fails'
    contains "$output" '✘ uninstall keeps the data'
    contains "$output" '✔ install'
    contains "$(tail -n 1 <<<"$output")" "fails and reaches level 2 of 8"
    grep -q '<failure message=' report.xml
    expect 1 drunner test failing-install
    contains "$output" '✘ install'
    expect 1 drunner test as-root
    contains "$output" '✘ checkimage'
    contains "$(tail -n 1 <<<"$output")" 'no level'
    same "$before" "$(snapshot)"
}

@test "a test that is killed is cleaned up by the next one, and by clean" {
    local before pid
    before=$(engine_objects)
    drunner test dtest >/dev/null 2>&1 3>&- 4>&- &
    pid=$!
    until [[ -n $(find "$DRUNNER_PREFIX/var/lib/drunner/tests" -name service.json 2>/dev/null) ]]; do
        kill -0 "$pid"
        sleep 0.05
    done
    kill -KILL "$pid"
    wait "$pid" || true
    # What it had started goes on without it.
    until ! pgrep -f "$DRUNNER_BINARY .* test-[0-9a-f]*-[abcd]" >/dev/null; do sleep 0.1; done
    [[ $(engine_objects) != "$before" ]]
    expect 0 drunner clean
    equals "$before" "$(engine_objects)"
    equals "" "$(ls "$DRUNNER_PREFIX/var/lib/drunner/tests")"
}

@test "pin: nothing of an unaccepted image runs in a test" {
    configure REVIEW=pin
    refused 'nobody accepted' drunner test dtest
    equals "" "$(calls)"
}

@test "the author's loop: dev builds, judges and updates, and asks no registry" {
    configure HEALTHUPTIME=0 PULL=always
    expect 0 drunner new demo --base "$BASE_IMAGE"
    expect 0 drunner dev demo
    contains "$output" "installed 'demo'"
    contains "$output" 'level 8 of 8'
    expect 0 demo selftest
    expect 3 drunner dev ./demo/ demo
    sed -i 's/^    start)$/    greet) echo "hello from $SERVICENAME" ;;\n    start)/' \
        demo/drunner/servicerunner
    expect 0 drunner dev demo --json
    equals '[true,false,"demo"]' "$(jq -c '[.changed, .installed, .service]' <<<"$output")"
    expect 0 demo greet
    equals 'hello from demo' "$output"
    # By hand it is the same: build, update.
    sed -i 's/hello from/greetings from/' demo/drunner/servicerunner
    "$DOCKER" build --quiet --force-rm -t demo demo >/dev/null
    expect 0 drunner update demo
    expect 0 demo greet
    equals 'greetings from demo' "$output"
    echo 'USER 0' >>demo/Dockerfile
    expect 1 drunner dev demo
    says 'root'
    expect 0 demo greet
    echo 'RUN false' >>demo/Dockerfile
    expect 1 drunner dev demo
    says 'docker build ended with'
    refused 'no Dockerfile' drunner dev demo/drunner other
}
