#!/usr/bin/env bats
# install: what it makes, what it refuses, and that it leaves nothing behind.

load harness

@test "install makes the files, the volumes, the launcher, and calls the hook last" {
    expect 0 drunner install dtest
    equals "install" "$(calls)"
    local service=$DRUNNER_PREFIX/var/lib/drunner/services/dtest
    jq -e . "$service/service.json" >/dev/null
    for file in servicerunner servicecfg.sh variables.sh utils.sh; do
        [[ -f $service/drunner/$file ]]
    done
    [[ -x $service/drunner/servicerunner ]]
    [[ -f $service/imagename.sh ]]
    equals "$(readlink -f "$DRUNNER_BINARY")" \
        "$(readlink -f "$DRUNNER_PREFIX/usr/local/bin/dtest")"
    equals "drunner-dtest-data drunner-dtest-varlibwitness" \
        "$("$DOCKER" volume ls --quiet | sort | xargs)"
}

@test "installing the same again is 3 and changes nothing" {
    expect 0 drunner install dtest
    local before
    before=$(snapshot)
    expect 3 drunner install dtest
    same "$before" "$(snapshot)"
    "$DOCKER" tag dtest-2 dtest
    expect 3 drunner install dtest
    "$DOCKER" tag "$(sed -n 's/^dtest:latest //p' <<<"$TAGS_BEFORE")" dtest
    same "$before" "$(snapshot)"
}

@test "another image under the same name is refused and names update --image" {
    expect 0 drunner install dtest
    refused dtest drunner install helloworld dtest
    names_next "update.* --image"
}

@test "one image serves several services, apart from each other" {
    expect 0 drunner install dtest one
    expect 0 drunner install dtest two
    expect 0 one write file "of one"
    expect 0 two write file "of two"
    expect 0 drunner obliterate two
    expect 0 one read file
    equals "of one" "$output"
}

@test "an image with a registry's port, a path and a tag gets its last part as its name" {
    "$DOCKER" tag dtest "$REGISTRY/team/blog:7"
    push "$REGISTRY/team/blog:7"
    "$DOCKER" rmi "$REGISTRY/team/blog:7" >/dev/null
    expect 0 drunner install "$REGISTRY/team/blog:7"
    expect 0 blog image
    equals 1 "$output"
}

@test "the volumes are labelled and belong to the image's user, also while they are empty" {
    expect 0 drunner install dtest
    local volume
    for volume in drunner-dtest-data drunner-dtest-varlibwitness; do
        equals 22022:22022 "$(stat -c %u:%g "$(mount_point "$volume")")"
        equals dtest "$("$DOCKER" volume inspect \
            --format '{{index .Labels "drunner.service"}}' "$volume")"
    done
    equals /var/lib/witness "$("$DOCKER" volume inspect \
        --format '{{index .Labels "drunner.path"}}' drunner-dtest-varlibwitness)"
    # The engine repeats its copy of owner and content at each mount of an empty volume.
    expect 0 drunner enter dtest -c "stat -c %u /data"
    equals 22022:22022 "$(stat -c %u:%g "$(mount_point drunner-dtest-data)")"
}

@test "the owner is the image's user even where the image's directory is root's" {
    expect 0 drunner install root-owned-directory
    local volume
    volume=$("$DOCKER" volume ls --quiet)
    equals 22022:22022 "$(stat -c %u:%g "$(mount_point "$volume")")"
}

@test "what the image has at a volume's path is copied in, once" {
    local directory
    directory=$(copy_of dtest)
    sed -i '/^RUN/i RUN mkdir -p /data/sub \&\& echo kept > /data/sub/.hidden' "$directory/Dockerfile"
    build_directory "$directory" filled
    expect 0 drunner install filled
    equals kept "$(cat "$(mount_point drunner-filled-data)/sub/.hidden")"
    rm -r "$(mount_point drunner-filled-data)/sub"
    expect 0 drunner enter filled -c "ls -A /data"
    equals "" "$output"
}

@test "volumes that are there already are taken as they are, with a note" {
    expect 0 drunner install dtest
    expect 0 dtest write kept "my data"
    expect 0 drunner uninstall dtest
    expect 0 drunner install dtest
    contains "$stderr" drunner-dtest-data
    expect 0 dtest read kept
    equals "my data" "$output"
}

@test "the volumes of another installation are never adopted" {
    expect 0 drunner install dtest
    local mine=$DRUNNER_PREFIX
    export DRUNNER_PREFIX=$BATS_TEST_TMPDIR/other
    mkdir -p "$DRUNNER_PREFIX/usr/local/bin"
    # The first prefix's launcher is on PATH; the name itself would be refused.
    PATH=${PATH//$mine\/usr\/local\/bin:/}
    refused "another .*installation" drunner install dtest
    export DRUNNER_PREFIX=$mine
}

@test "an install hook that fails leaves nothing behind" {
    local before
    before=$(snapshot)
    DTEST_FAIL=install expect 1 drunner install dtest
    says "install"
    contains "$stderr" "DTEST_FAIL says so"
    same "$before" "$(snapshot)"
    expect 1 drunner install failing-install
    same "$before" "$(snapshot)"
    expect 0 drunner install dtest
}

@test "an install that fails leaves the volumes that were there before" {
    expect 0 drunner install dtest
    expect 0 dtest write kept "my data"
    expect 0 drunner uninstall dtest
    local before
    before=$(snapshot)
    DTEST_FAIL=install expect 1 drunner install dtest
    same "$before" "$(snapshot)"
    expect 0 drunner obliterate dtest
}

@test "variables.sh tells a script what the contract promises" {
    expect 0 drunner install dtest
    expect 0 dtest variables
    # shellcheck source=/dev/null
    source <(printf '%s\n' "$output")
    equals dtest "$SERVICENAME"
    equals dtest "$IMAGEREF"
    equals "$(image_id dtest)" "$IMAGEID"
    equals "$(image_id dtest)" "$(image_id "$IMAGENAME")"
    equals "/data /var/lib/witness" "${VOLUMES[*]}"
    equals "drunner-dtest-data drunner-dtest-varlibwitness" "${DOCKERVOLS[*]}"
    contains "${DOCKEROPTS[*]}" "-v drunner-dtest-data:/data:nocopy"
    contains "${DOCKEROPTS[*]}" "--label drunner.service=dtest"
    [[ -d $SERVICETEMPDIR && -n $INSTALLTIME && -n $HOSTIP ]]
    (
        set -u
        equals 0 "${#EXTRACONTAINERS[@]}"
    )
}

@test "images of the old days install: scripts without an x bit, VERSION=2 hooks" {
    expect 0 drunner install old-style
    expect 0 drunner install version2
    expect 0 drunner obliterate version2
}

@test "docker volume prune takes nothing of an installed service" {
    expect 0 drunner install dtest
    expect 0 dtest write kept "my data"
    "$DOCKER" volume prune --force >/dev/null
    expect 0 dtest read kept
    equals "my data" "$output"
    expect 0 drunner status dtest
}
