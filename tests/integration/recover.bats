#!/usr/bin/env bats
# recover: a broken installation is rebuilt around its volumes.

load harness

@test "a whole service is 3" {
    expect 0 drunner install dtest
    local before
    before=$(snapshot)
    expect 3 drunner recover dtest
    same "$before" "$(snapshot)"
}

@test "lost scripts, a lost launcher, a lost kept container and a lost tag come back" {
    expect 0 drunner install dtest
    expect 0 dtest write file "my data"
    local damage service=$DRUNNER_PREFIX/var/lib/drunner/services/dtest
    for damage in "rm -r $(readlink -f "$service/drunner")" \
        "rm $DRUNNER_PREFIX/usr/local/bin/dtest" "$DOCKER rm --force drunner-keep-dtest" \
        "rm $service/drunner"; do
        $damage >/dev/null
        expect 1 drunner status dtest
        expect 0 drunner recover dtest
        expect 0 drunner status dtest
        expect 0 dtest read file
        equals "my data" "$output"
    done
}

@test "a lost service.json: the image named, the service is rebuilt around its volumes" {
    expect 0 drunner install dtest
    expect 0 dtest write file "my data"
    rm "$DRUNNER_PREFIX/var/lib/drunner/services/dtest/service.json"
    expect 0 drunner recover dtest dtest
    expect 0 dtest read file
    equals "my data" "$output"
    expect 0 drunner status dtest
}

@test "recover of what is nowhere is 1" {
    refused nosuch drunner recover nosuch
}

@test "killed in the middle, the next command finishes or undoes it" {
    local directory
    directory=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '/^case \$SUBCOMMAND in/i if [[ $SUBCOMMAND == "${DTEST_FAIL#kill-}" ]]; then kill -KILL $PPID; sleep 5; fi' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" killer
    expect 0 drunner install killer
    expect 0 killer write file "my data"
    build_directory "$directory" killer
    local before
    before=$(volume_listing drunner-killer-data)
    sed -i 's/^VERSION_FILE=.*/&\n/' "$directory/drunner/servicerunner"
    build_directory "$directory" killer
    DTEST_FAIL=kill-updateend run drunner update killer
    [[ $status != 0 ]]
    expect 1 drunner status killer
    run drunner recover killer
    [[ $status == 0 || $status == 3 ]]
    expect 0 drunner status killer
    same "$before" "$(volume_listing drunner-killer-data)"
    expect 0 killer read file
    equals "my data" "$output"
}

@test "recover --all finishes what was interrupted on every service, and nothing else" {
    expect 3 drunner recover --all
    local directory
    directory=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '/^case \$SUBCOMMAND in/i if [[ $SUBCOMMAND == "${DTEST_FAIL#kill-}" ]]; then kill -KILL $PPID; sleep 5; fi' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" killer
    DTEST_FAIL=kill-install run drunner install killer
    [[ $status != 0 ]]
    drunner install dtest
    expect 0 drunner list
    grep -E '^killer +unfinished' <<<"$output"
    expect 0 drunner recover --all
    equals "recovered 'killer'" "$output"
    expect 1 drunner status killer
    expect 0 drunner status dtest
    refused "exclude" drunner recover --all dtest
}
