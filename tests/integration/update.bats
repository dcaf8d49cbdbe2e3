#!/usr/bin/env bats
# update: when it changes nothing, what it takes, and the way back.

load harness

publish_first() {
    "$DOCKER" tag dtest "$REGISTRY/blog"
    push "$REGISTRY/blog"
    "$DOCKER" rmi "$REGISTRY/blog" >/dev/null
}

# The tag moves in the registry; this engine does not know.
publish_second() {
    local installed
    installed=$(image_id "$REGISTRY/blog")
    "$DOCKER" tag dtest-2 "$REGISTRY/blog"
    push "$REGISTRY/blog"
    "$DOCKER" tag "$installed" "$REGISTRY/blog"
}

@test "nothing new is 3, and nothing that changes the engine is asked for" {
    proxy_start
    expect 0 drunner install dtest
    : >"$PROXY_RECORD"
    expect 3 drunner update dtest
    [[ -n $(requests) ]]
    equals "" "$(changing_requests)"
}

@test "nothing new in the registry costs one HEAD and no manifest" {
    publish_first
    expect 0 drunner install "$REGISTRY/blog"
    : >"$WORLD/registry.log"
    expect 3 drunner update blog
    equals 1 "$(grep -c '"HEAD /v2/blog/manifests/latest' "$WORLD/registry.log")"
    equals 0 "$(grep -c '"GET /v2/blog/' "$WORLD/registry.log")"
}

@test "a local rebuild is seen" {
    expect 0 drunner install dtest
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    expect 0 dtest version
    equals 2 "$output"
    expect 3 drunner update dtest
}

@test "a push to the registry is seen, and the new scripts run" {
    publish_first
    expect 0 drunner install "$REGISTRY/blog"
    publish_second
    forget_calls
    expect 0 drunner update blog
    expect 0 blog version
    equals 2 "$output"
    expect 0 blog image
    equals 2 "$output"
    equals "updatestart 1|updateend 2" \
        "$(sed -n 's/ *$//; /^update/p' "$DTEST_CALLS" | paste -sd '|')"
    expect 3 drunner update blog
}

@test "the data stays, and volumes that are new are made" {
    expect 0 drunner install dtest
    expect 0 dtest write kept "my data"
    local directory
    directory=$(copy_of dtest)
    sed -i 's#^VOLUMES=(#&"/third" #' "$directory/drunner/servicecfg.sh"
    build_directory "$directory" dtest
    expect 0 drunner update dtest
    expect 0 dtest read kept
    equals "my data" "$output"
    equals 22022:22022 "$(stat -c %u:%g "$(mount_point drunner-dtest-third)")"
    # One that left VOLUMES is never deleted.
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner update dtest
    [[ -d $(mount_point drunner-dtest-third) ]]
}

@test "an updatestart that fails: nothing changed" {
    expect 0 drunner install dtest
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updatestart rolled_back updatestart drunner update dtest
    expect 0 drunner update dtest
}

@test "an updateend that fails: the old scripts, the old image, the same data" {
    expect 0 drunner install dtest
    fill_dtest dtest
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updateend rolled_back updateend drunner update dtest
    expect 0 dtest version
    equals 1 "$output"
    expect 0 dtest image
    equals 1 "$output"
}

@test "unattended, what is on hold and what failed before is left alone, also by name" {
    expect 0 drunner install dtest
    expect 0 drunner install helloworld
    expect 0 drunner hold helloworld
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updateend rolled_back updateend drunner update dtest
    expect 3 drunner update --unattended dtest helloworld
    grep -qE '^dtest +failed before +sha256:.* was rolled back' <<<"$output"
    grep -qE '^helloworld +held' <<<"$output"
    expect 3 drunner update --unattended dtest
    refused 'for one service, attended' drunner update --unattended dtest --pull always
    refused 'needs SERVICE' drunner update --unattended
    expect 0 drunner update dtest
}

@test "a failing update with containers: those that ran run again" {
    expect 0 drunner install longrunner
    local directory
    directory=$(copy_of longrunner)
    sed -i 's/^    install | updateend) start_container ;;/    install) start_container ;;\n    updateend) start_container; exit 1 ;;/' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" longrunner
    expect 1 drunner update longrunner
    says updateend
    equals running "$("$DOCKER" inspect --format '{{.State.Status}}' longrunner)"
    expect 0 longrunner log
    contains "$output" started
    equals "$(sed -n 's/^longrunner:latest //p' <<<"$TAGS_BEFORE")" \
        "$("$DOCKER" inspect --format '{{.Image}}' longrunner)"
}

@test "an update that fails leaves no container of its updateend" {
    expect 0 drunner install dtest failing
    expect 1 drunner update failing --image failing-updateend
    equals "" "$(containers_of failing)"
    expect 0 failing image
    equals 1 "$output"
}

@test "update --image moves a service to another reference" {
    expect 0 drunner install dtest
    expect 0 drunner update dtest --image dtest-2
    expect 0 dtest version
    equals 2 "$output"
    expect 3 drunner install dtest-2 dtest
}

@test "an image that breaks the contract is not taken" {
    expect 0 drunner install dtest
    "$DOCKER" tag as-root dtest
    refused "root" drunner update dtest
}

@test "a container that uses an old image stops no update: the image keeps its tag, doctor removes it" {
    local directory version
    directory=$(copy_of helloworld)
    for version in 1 2 3; do
        printf 'LABEL test=%s\n' "$version" >>"$directory/Dockerfile"
        build_directory "$directory" mine
        if ((version == 1)); then
            expect 0 drunner install mine
            "$DOCKER" create --name stranger mine true >/dev/null
        else
            expect 0 drunner update mine
        fi
    done
    tells "image tag 'localhost/drunner:mine.1' stays"
    expect 3 drunner update mine
    "$DOCKER" rm stranger >/dev/null
    expect 1 drunner doctor
    contains "$output$stderr" "localhost/drunner:mine.1"
    expect 0 drunner doctor --fix
    expect 3 drunner doctor
    if image_id localhost/drunner:mine.1; then return 1; fi
}

@test "a registry that does not answer is 1, and nothing changes" {
    # A registry of this test alone, so that it can go away.
    # shellcheck source=tests/integration/world.bash
    source "$ROOT/tests/integration/world.bash"
    local WORLD=$BATS_TEST_TMPDIR/second
    mkdir "$WORLD"
    world_start_registry
    publish_first
    expect 0 drunner install "$REGISTRY/blog"
    world_end "$WORLD_REGISTRY_PID"
    refused "$REGISTRY" drunner update blog
    # A service that never asks is kept like that: once changed, then nothing to change.
    expect 0 drunner update blog --pull never
    expect 3 drunner update blog
}

@test "update of what is not installed is 1" {
    refused nosuch drunner update nosuch
}

@test "a recorded volume that is gone is named, never made anew" {
    expect 0 drunner install dtest
    "$DOCKER" rm --force drunner-keep-dtest >/dev/null
    "$DOCKER" volume rm drunner-dtest-data >/dev/null
    "$DOCKER" tag dtest-2 dtest
    refused drunner-dtest-data drunner update dtest
    expect 1 drunner status dtest
    expect 0 drunner recover dtest --empty
    expect 0 drunner status dtest
}

@test "update --all of what is unchanged costs one HEAD for each reference, and nothing else" {
    local i
    for i in 1 2 3 4 5; do
        "$DOCKER" tag helloworld "$REGISTRY/many/h$i"
        push "$REGISTRY/many/h$i"
        expect 0 drunner install "$REGISTRY/many/h$i"
    done
    # A second service of one image, one that is local, and one whose registry is not asked.
    expect 0 drunner install "$REGISTRY/many/h1" twin
    expect 0 drunner install helloworld
    expect 0 drunner install "$REGISTRY/many/h2" never --pull never
    : >"$WORLD/registry.log"
    expect 3 drunner update --all
    equals 5 "$(grep -c '"HEAD /v2/many/h[1-5]/manifests/latest' "$WORLD/registry.log")"
    equals 0 "$(grep -c '"GET /v2/many/' "$WORLD/registry.log")"
    # What one of them is found to be, it becomes, and the others stay.
    "$DOCKER" tag dtest "$REGISTRY/many/h3"
    push "$REGISTRY/many/h3"
    "$DOCKER" rmi "$REGISTRY/many/h3" >/dev/null
    expect 0 drunner update --all --json
    equals '["h3"]' "$(jq -c '[.services[] | select(.changed) | .service]' <<<"$output")"
}

@test "registry test tells what is there from what is not, and from a registry that is not" {
    "$DOCKER" tag helloworld "$REGISTRY/there:1"
    push "$REGISTRY/there:1"
    : >"$WORLD/registry.log"
    expect 0 drunner registry test "$REGISTRY/there:1"
    contains "$output" "is there: sha256:"
    contains "$output" "asked without credentials"
    grep -q "/v2/there/manifests/1" "$WORLD/registry.log"
    refused "'$REGISTRY/there:2'|there:2" drunner registry test "$REGISTRY/there:2"
    names_next "docker login"
    refused "127.0.0.1:1" drunner registry test 127.0.0.1:1/there:1
    refused "has no 'toast'" drunner registry toast "$REGISTRY/there:1"
}
