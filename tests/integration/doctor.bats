#!/usr/bin/env bats
# doctor finds every planted fault and --fix mends what can be mended without losing data; nothing of
# a stranger's is touched.

load harness

ID=0123456789abcdef0123456789abcdef

plant() { # LINE of shell: done, and counted
    FAULTS=$((${FAULTS-0} + 1))
    eval "$1"
}

installation() {
    cat "$DRUNNER_PREFIX/var/lib/drunner/installation"
}

found() { # CHECK [COUNT]: so many findings of that check stand in $output, JSON
    local count
    count=$(jq --arg check "$1" '[.findings[] | select(.check == $check)] | length' <<<"$output")
    if [[ $count != "${2-1}" ]]; then
        printf '%s of %s, not %s:\n%s\n' "$count" "$1" "${2-1}" \
            "$(jq -r '.findings[] | "\(.check) \(.state) \(.what)"' <<<"$output")"
        return 1
    fi
}

# Things that look like ours, and are not.
witnesses_plant() {
    "$DOCKER" create --name drunner-keep-gone dtest >/dev/null
    "$DOCKER" create --name stranger --label drunner.service=gone dtest >/dev/null
    "$DOCKER" create --name neighbour --label drunner.service=gone --label drunner.installation=$ID \
        --label drunner.keep=1 dtest >/dev/null
    "$DOCKER" network create --label drunner.service=gone gone-net >/dev/null
    "$DOCKER" network create --label drunner.installation=$ID neighbour-net >/dev/null
    "$DOCKER" volume create drunner-gone-data >/dev/null
    "$DOCKER" volume create --label drunner.service=gone --label drunner.installation=$ID \
        drunner-gone-extra >/dev/null
    echo theirs >"$(mount_point drunner-gone-data)/data"
    echo theirs >"$(mount_point drunner-gone-extra)/data"
    "$DOCKER" tag dtest elsewhere/drunner:gone.1
    ln -s /usr/bin/env "$DRUNNER_PREFIX/usr/local/bin/gone"
    ln -s /opt/other/drunner "$DRUNNER_PREFIX/usr/local/bin/their"
    echo theirs >"$DRUNNER_PREFIX/usr/local/bin/tool"
    mkdir "$DRUNNER_PREFIX/var/lib/drunner/services/one/temp-mine"
    echo theirs >"$DRUNNER_PREFIX/var/lib/drunner/services/one/notes"
    chmod 600 "$DRUNNER_PREFIX/var/lib/drunner/services/one/notes"
    chmod 700 "$DRUNNER_PREFIX/var/lib/drunner/services/one/temp-mine"
}

witnesses_remove() {
    "$DOCKER" rm drunner-keep-gone stranger neighbour >/dev/null
    "$DOCKER" volume rm drunner-gone-data drunner-gone-extra >/dev/null
    "$DOCKER" network rm gone-net neighbour-net >/dev/null
}

witnesses() {
    local name
    for name in drunner-keep-gone stranger neighbour; do
        "$DOCKER" inspect --format '{{.Id}} {{.State.Status}} {{json .Config.Labels}}' "$name"
    done
    for name in drunner-gone-data drunner-gone-extra; do
        "$DOCKER" volume inspect "$name"
        volume_listing "$name"
    done
    "$DOCKER" network inspect gone-net neighbour-net
    image_id elsewhere/drunner:gone.1
    listing "$DRUNNER_PREFIX/usr/local/bin" | grep -E 'gone|their|tool'
    stat -c '%n %a %Y' "$DRUNNER_PREFIX"/var/lib/drunner/services/one/{notes,temp-mine}
}

@test "a whole host is 3, and looking changes nothing" {
    expect 3 drunner doctor
    expect 0 drunner install dtest
    proxy_start
    local before
    before=$(snapshot)
    expect 1 drunner doctor
    contains "$output" other-engine
    equals "" "$(changing_requests)"
    proxy_stop
    expect 3 drunner doctor
    equals "nothing found" "$output"
    expect 3 drunner doctor --fix dtest
    same "$before" "$(snapshot)"
    refused "not installed" drunner doctor nosuch
}

@test "29 planted faults are found and mended, and strangers' things survive" {
    local state=$DRUNNER_PREFIX/var/lib/drunner services=$DRUNNER_PREFIX/var/lib/drunner/services
    local launchers=$DRUNNER_PREFIX/usr/local/bin own name beside
    for name in one two three four five six; do
        expect 0 drunner install simplesecrets "$name"
        echo "data of $name" >"$(mount_point "drunner-$name-secrets")/key"
    done
    own="--label drunner.installation=$(installation)"
    witnesses_plant
    expect 3 drunner doctor
    local before
    before=$(witnesses)
    beside=$(dirname "$(mount_point drunner-one-secrets)")

    plant "echo '# changed' >>$services/one/drunner/servicerunner"
    plant "rm $services/two/drunner/servicecfg.sh"
    plant "chmod 600 $services/three/drunner/servicerunner"
    plant "\"\$DOCKER\" rmi localhost/drunner:four.1 >/dev/null"
    plant "\"\$DOCKER\" tag helloworld localhost/drunner:five.1"
    plant "\"\$DOCKER\" rm drunner-keep-three >/dev/null"
    plant "rm $launchers/four"
    plant "ln -sfn /nowhere/drunner $launchers/five"
    plant "ln -s $(realpath "$DRUNNER_BINARY") $launchers/lost"
    plant "mkdir -m 700 $services/four/releases/9"
    plant "mkdir -m 700 $services/four/temp-$ID"
    plant "mkdir -m 700 $services/four/backup-$ID"
    plant "mkdir -m 700 $services/four/restore-$ID"
    plant "install -d -m 700 $services/four/snapshot-$ID"
    plant "install -m 600 /dev/null $services/four/service.json.$ID.new"
    plant "mkdir $beside/drunner-$ID; echo half >$beside/drunner-$ID/key"
    plant "chmod 644 $services/four/service.json"
    plant "chown 1000 $services/five/service.json"
    plant "chmod 755 $state; chmod 666 $DRUNNER_PREFIX/etc/drunner/config.sh"
    plant "install -m 600 /dev/stdin $services/six/journal <<<'{\"journal\":1,\"operation\":\"$ID\",\"verb\":\"update\",\"command\":\"drunner update six\",\"engine\":\"${DOCKER_HOST#unix://}\",\"pid\":1,\"started\":\"2026-01-01T00:00:00+00:00\"}'"
    plant "mkdir -m 700 $services/empty"
    plant "install -m 600 /dev/null $DRUNNER_PREFIX/run/drunner/lost.lock"
    plant "mkdir -p -m 700 $state/backups/one; touch -d '2 hours ago' $state/backups/one/.b.tar.zst.$ID.part"
    plant "mkdir -m 700 $state/undelete; install -m 600 /dev/null $state/undelete/lost-20200101T000000Z.tar.zst"
    plant "\"\$DOCKER\" create --name lost-web --label drunner.service=lost $own dtest >/dev/null"
    plant "\"\$DOCKER\" volume create --label drunner.scratch=probe drunner-probe-$ID >/dev/null; touch -d '2 hours ago' \$(mount_point drunner-probe-$ID)"
    plant "\"\$DOCKER\" tag dtest localhost/drunner:one.55"
    plant "\"\$DOCKER\" create --name drunner-keep-one.PREVIOUS --label drunner.service=one --label drunner.keep=1 $own dtest >/dev/null"
    plant "\"\$DOCKER\" network create --label drunner.service=lost $own lost-net >/dev/null"
    expect 1 drunner doctor --json
    found scripts 3
    found pin 2
    found keep-container
    found launcher 2
    found orphan-launcher
    found release
    found temporary 5
    found staging
    found file-mode 3
    found unfinished
    found empty-directory
    found lock
    found partial-backup
    found expired-backup
    found orphan-container 2
    found scratch
    found orphan-network
    found orphan-pin
    equals 29 "$FAULTS"
    equals "$FAULTS" "$(jq '.findings | length' <<<"$output")"
    equals '[true]' "$(jq -c '[.findings[].mendable] | unique' <<<"$output")"

    expect 0 drunner doctor --fix
    contains "$stderr" "undoing the interrupted"
    contains "$output" mended
    expect 3 drunner doctor
    same "$before" "$(witnesses)"
    for name in one two three four five six; do
        expect 0 drunner status "$name"
        equals "data of $name" "$(cat "$(mount_point "drunner-$name-secrets")/key")"
    done
    witnesses_remove
}

@test "a service.json that is damaged or gone is written anew while the kept container is there" {
    expect 0 drunner install dtest
    fill_dtest dtest
    local before json=$DRUNNER_PREFIX/var/lib/drunner/services/dtest/service.json
    before=$(volume_listing drunner-dtest-varlibwitness)
    echo '{"format":1' >"$json"
    expect 1 drunner doctor --json
    found manifest
    expect 0 drunner doctor --fix
    rm "$json"
    expect 0 drunner doctor --fix dtest
    expect 0 drunner status dtest
    same "$before" "$(volume_listing drunner-dtest-varlibwitness)"
}

@test "a lost installation id is taken from the services" {
    expect 0 drunner install dtest
    local before
    before=$(installation)
    rm "$DRUNNER_PREFIX/var/lib/drunner/installation"
    expect 1 drunner doctor --json
    found installation-id
    expect 0 drunner doctor --fix
    equals "$before" "$(installation)"
    expect 3 drunner doctor
}

@test "what only a person can mend is named with the command to type, and nothing is destroyed" {
    local services=$DRUNNER_PREFIX/var/lib/drunner/services
    expect 0 drunner install simplesecrets gone
    echo precious >"$(mount_point drunner-gone-secrets)/key"
    expect 0 drunner uninstall gone
    expect 0 drunner install simplesecrets lost
    echo precious >"$(mount_point drunner-lost-secrets)/key"
    rm -rf "${services:?}/lost" "$DRUNNER_PREFIX/usr/local/bin/lost" \
        "$DRUNNER_PREFIX/run/drunner/lost.lock"
    expect 0 drunner install dtest
    "$DOCKER" rm -f drunner-keep-dtest >/dev/null
    "$DOCKER" volume rm drunner-dtest-data >/dev/null
    rm "$DRUNNER_PREFIX/usr/local/bin/dtest"
    echo mine >"$DRUNNER_PREFIX/usr/local/bin/dtest"
    "$DOCKER" tag dtest localhost/drunner:nobody.1
    "$DOCKER" volume create --label drunner.service=dtest --label "drunner.installation=$(installation)" \
        drunner-dtest-more >/dev/null
    printf 'BACKUPMAXAGE=1d\n' >>"$DRUNNER_PREFIX/etc/drunner/config.sh"
    mkdir -p "$DRUNNER_PREFIX/var/lib/drunner/backups"
    mount -t tmpfs -o size=1m none "$DRUNNER_PREFIX/var/lib/drunner/backups"
    head -c 1040384 /dev/zero >"$DRUNNER_PREFIX/var/lib/drunner/backups/full"
    local before
    before=$(snapshot)
    PATH=$BATS_TEST_TMPDIR/bin:/usr/bin:/bin expect 1 drunner doctor --fix --json
    umount "$DRUNNER_PREFIX/var/lib/drunner/backups"
    found orphan-volume 2
    found lost-installation
    found volume-missing
    found keep-container
    found launcher
    found orphan-pin
    found backup-age
    found launcher-path
    found disk-full
    equals 10 "$(jq '.findings | length' <<<"$output")"
    equals '["remains"]' "$(jq -c '[.findings[].state] | unique' <<<"$output")"
    equals '[]' "$(jq -c '[.findings[] | select(.next == "" or .why == "" or .mendable)]' <<<"$output")"
    contains "$(jq -r '.findings[] | select(.check == "lost-installation").next' <<<"$output")" \
        "drunner recover lost"
    contains "$(jq -r '.findings[] | select(.check == "orphan-volume").next' <<<"$output")" \
        "drunner obliterate gone"
    same "$(grep -v backups/full <<<"$before")" "$(snapshot)"

    # The commands that were named do what they say.
    "$DOCKER" rmi localhost/drunner:nobody.1 >/dev/null
    "$DOCKER" volume rm drunner-dtest-more >/dev/null
    rm "$DRUNNER_PREFIX/usr/local/bin/dtest"
    sed -i /BACKUPMAXAGE/d "$DRUNNER_PREFIX/etc/drunner/config.sh"
    expect 0 drunner recover lost
    equals precious "$(cat "$(mount_point drunner-lost-secrets)/key")"
    expect 0 drunner obliterate gone
    expect 0 drunner recover dtest --empty
    expect 3 drunner doctor
}

@test "settings that cannot be read are a finding, and an engine that is away is one" {
    expect 0 drunner install dtest
    DOCKER_HOST=unix:///nosuch/socket expect 1 drunner doctor --json
    found engine
    printf 'PULL=sometimes\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    expect 1 drunner doctor --json
    found settings
    contains "$output" config.sh
    rm "$DRUNNER_PREFIX/etc/drunner/config.sh"
    expect 3 drunner doctor
}

@test "an update that was killed is told by doctor and by status, and undone by --fix" {
    local directory
    directory=$(copy_of dtest)
    # shellcheck disable=SC2016  # the script is to expand it
    sed -i '/^case \$SUBCOMMAND in/i if [[ $SUBCOMMAND == "${DTEST_FAIL#kill-}" ]]; then kill -KILL $PPID; sleep 5; fi' \
        "$directory/drunner/servicerunner"
    build_directory "$directory" killer
    expect 0 drunner install killer
    expect 0 killer write file "my data"
    echo '# new' >>"$directory/drunner/servicerunner"
    build_directory "$directory" killer
    DTEST_FAIL=kill-updateend run drunner update killer
    [[ $status != 0 ]]
    expect 1 drunner doctor
    contains "$output" unfinished
    expect 0 drunner doctor --fix
    contains "$stderr" "undoing the interrupted"
    expect 3 drunner doctor
    expect 0 killer read file
    equals "my data" "$output"
}
