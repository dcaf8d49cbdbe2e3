#!/usr/bin/env bats
# uninstall keeps the data, obliterate keeps nothing; of what is not there both say 3.

load harness

@test "uninstall removes all but the volumes" {
    expect 0 drunner install dtest
    fill_dtest dtest
    local one
    one=$(volume_listing drunner-dtest-data)
    expect 0 drunner uninstall dtest
    same "$one" "$(volume_listing drunner-dtest-data)"
    equals "" "$("$DOCKER" ps --all --quiet)"
    [[ ! -e $DRUNNER_PREFIX/usr/local/bin/dtest ]]
    [[ ! -e $DRUNNER_PREFIX/var/lib/drunner/services/dtest ]]
    expect 3 drunner uninstall dtest
    expect 0 drunner obliterate dtest
}

@test "obliterate removes the volumes too, also after uninstall" {
    expect 0 drunner install dtest
    expect 0 drunner obliterate dtest
    equals "" "$(engine_objects)"
    expect 3 drunner obliterate dtest
    expect 0 drunner install dtest
    expect 0 drunner uninstall dtest
    expect 0 drunner obliterate dtest
    equals "" "$(engine_objects)"
}

@test "obliterate finds the volumes by label when the files are gone" {
    expect 0 drunner install dtest
    rm -r "$DRUNNER_PREFIX/var/lib/drunner/services/dtest" "$DRUNNER_PREFIX/usr/local/bin/dtest"
    expect 0 drunner obliterate dtest
    equals "" "$(engine_objects)"
}

@test "each calls its own hook and not the other's" {
    expect 0 drunner install dtest
    forget_calls
    expect 0 drunner uninstall dtest
    equals uninstall "$(calls)"
    expect 0 drunner install dtest
    forget_calls
    expect 0 drunner obliterate --purge dtest
    equals obliterate "$(calls)"
}

@test "a hook that fails is reported, and the work goes on" {
    expect 0 drunner install dtest
    DTEST_FAIL=uninstall expect 0 drunner uninstall dtest
    contains "$stderr" uninstall
    expect 0 drunner install dtest
    DTEST_FAIL=obliterate expect 1 drunner obliterate dtest
    contains "$stderr" obliterate
    equals "" "$(engine_objects)"
}

@test "containers of the service that its hook forgot are removed, others are not" {
    expect 0 drunner install dtest
    "$DOCKER" run --detach --name dtest-forgotten --label drunner.service=dtest \
        --stop-signal KILL dtest sleep 600 >/dev/null
    "$DOCKER" run --detach --name other dtest sleep 600 >/dev/null
    expect 0 drunner uninstall dtest
    equals other "$("$DOCKER" ps --all --format '{{.Names}}')"
    "$DOCKER" rm --force other >/dev/null
    expect 0 drunner obliterate dtest
}

@test "a volume that somebody else uses is not pulled from under him" {
    expect 0 drunner install dtest
    "$DOCKER" run --detach --name other --volume drunner-dtest-data:/x drunner-base sleep 600 \
        >/dev/null
    expect 1 drunner obliterate dtest
    contains "$stderr" other
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' other)"
    "$DOCKER" rm --force other >/dev/null
    expect 0 drunner obliterate dtest
    equals "" "$(engine_objects)"
}

@test "names are matched exactly" {
    expect 0 drunner install dtest mydb
    expect 0 drunner install dtest notmydb
    expect 0 drunner install dtest mydb-data
    expect 0 drunner obliterate mydb
    expect 0 drunner status notmydb
    expect 0 drunner status mydb-data
    expect 0 drunner obliterate mydb-data
    expect 0 notmydb write file x
}
