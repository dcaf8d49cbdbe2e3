#!/usr/bin/env bats
# Containers that join the namespaces of another one of their service.

load harness

id_of() { # CONTAINER
    "$DOCKER" inspect --format '{{.Id}}' "$1"
}

running() {
    "$DOCKER" ps --filter label=drunner.service=joined --format '{{.Names}}' | sort | tr '\n' ' '
}

# The joiners are in the namespaces of the target that is there now.
are_joined() {
    local target
    target=$("$DOCKER" inspect --format '{{.State.Pid}}' joined-target)
    equals "joined-neighbour joined-target joined-watcher " "$(running)"
    equals "$(readlink "/proc/$target/ns/pid")" "$(namespace joined-watcher pid)"
    equals "$(readlink "/proc/$target/ns/net")" "$(namespace joined-neighbour net)"
}

namespace() { # CONTAINER KIND
    readlink "/proc/$("$DOCKER" inspect --format '{{.State.Pid}}' "$1")/ns/$2"
}

@test "joiners come with their target, and are labelled, known by id, and gone with the service" {
    expect 0 drunner install joined
    are_joined
    local target
    target=$("$DOCKER" inspect --format '{{.State.Pid}}' joined-target)
    # Its own namespaces are not those of a container that joined nothing of that kind.
    [[ $(namespace joined-neighbour pid) != $(readlink "/proc/$target/ns/pid") ]]
    expect 0 drunner inspect joined
    equals "[\"helloworld\",\"$(image_id helloworld)\"]" \
        "$(jq -c '.manifest.releases[0].extra_images[0] | [.reference, .id]' <<<"$output")"
    expect 3 drunner update joined
    expect 0 drunner obliterate --purge joined
    equals "" "$(engine_objects)"
}

@test "start changes nothing that runs, and makes joiners anew with their target" {
    expect 0 drunner install joined
    local watcher neighbour
    watcher=$(id_of joined-watcher)
    neighbour=$(id_of joined-neighbour)
    expect 0 joined start
    equals "$watcher $neighbour" "$(id_of joined-watcher) $(id_of joined-neighbour)"
    expect 0 joined replace-target
    are_joined
    [[ $watcher != "$(id_of joined-watcher)" && $neighbour != "$(id_of joined-neighbour)" ]]
    # A target that is started again has new namespaces.
    "$DOCKER" restart --time 2 joined-target >/dev/null
    expect 0 joined start
    are_joined
    expect 0 joined stop
    equals "" "$(running)"
    expect 0 joined start
    are_joined
}

@test "backup stops and starts them in order, update makes them anew" {
    expect 0 drunner install joined
    expect 0 drunner backup joined b
    are_joined
    local directory
    directory=$(copy_of joined)
    printf '# another release\n' >>"$directory/drunner/servicerunner"
    build_directory "$directory" joined
    expect 0 drunner update joined
    are_joined
    expect 0 drunner restore --replace b joined
    are_joined
}

@test "a failed update brings target and joiners back, also where only the target was gone" {
    expect 0 drunner install joined
    local directory
    directory=$(copy_of joined)
    sed -i 's/^    install | updateend) start ;;/    install) start ;; updateend) exit 1 ;;/' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" joined
    expect 1 drunner update joined
    are_joined
    "$DOCKER" tag original/joined joined

    # These scripts leave the joiners alone when they remove the target.
    directory=$(copy_of joined)
    sed -i 's/^    updatestart | /    updatestart) remove_container "$TARGET" ;; /' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" joined
    expect 0 drunner update joined
    are_joined
    sed -i 's/^    install | updateend) start ;;/    install) start ;; updateend) exit 1 ;;/' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" joined
    expect 1 drunner update joined
    are_joined
}

@test "what does not become ready is told after its time" {
    expect 0 drunner install joined
    # shellcheck disable=SC1091
    run bash -c "source '$DRUNNER_PREFIX/var/lib/drunner/services/joined/drunner/variables.sh'
        source '$DRUNNER_PREFIX/var/lib/drunner/services/joined/drunner/utils.sh'
        wait_for 1 false || echo 'not ready'
        wait_for 5 true && echo ready
        join_container nosuch pid joined-x helloworld true"
    contains "$output" "not ready"
    contains "$output" $'\nready'
    contains "$output" "nosuch does not run"
    [[ $status == 1 ]]
}
