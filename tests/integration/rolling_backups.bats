#!/usr/bin/env bats
# Rolling backups: backup --all, and prune: which backups go, and that what matters never does.

load harness

# One real backup, under the names of many days.
history() { # NAME...
    DIRECTORY=$DRUNNER_PREFIX/var/lib/drunner/backups/dtest
    expect 0 drunner install dtest
    expect 0 drunner backup dtest "$PWD/one"
    mkdir -p "$DIRECTORY"
    local name
    for name; do cp one "$DIRECTORY/$name.tar.zst"; done
}

stay() {
    (cd "$DIRECTORY" && printf '%s\n' *) | xargs
}

@test "what no rule keeps goes, and --check foretells it" {
    history 2026010{1,2,3,4}T030000Z 20260104T150000Z 20251215T030000Z 20250601T030000Z
    touch "$DIRECTORY"/notes.txt "$DIRECTORY"/20260104T150000Z.tar.zst.sha256
    mkdir "$DIRECTORY/20200101T000000Z.tar.zst"
    local before foretold
    before=$(snapshot)
    expect 0 drunner prune dtest --keep 'daily=2 monthly=2' --check --json
    foretold=$(jq -c '[.services[0].backups[] | [.file, .rules]]' <<<"$output")
    same "$before" "$(snapshot)"
    expect 0 drunner prune dtest --keep 'daily=2 monthly=2' --json
    same "$foretold" "$(jq -c '[.services[0].backups[] | [.file, .rules]]' <<<"$output")"
    equals '["20200101T000000Z.tar.zst","20260104T150000Z.tar.zst.sha256","notes.txt"]' \
        "$(jq -c '.services[0].unknown | sort' <<<"$output")"
    equals "20200101T000000Z.tar.zst 20251215T030000Z.tar.zst 20260103T030000Z.tar.zst 20260104T150000Z.tar.zst 20260104T150000Z.tar.zst.sha256 notes.txt" "$(stay)"
    expect 3 drunner prune dtest --keep 'daily=2 monthly=2'
    # The operator's own rules, for all services, also those that are gone.
    expect 0 drunner obliterate --purge dtest
    configure RETENTION="last=1"
    expect 0 drunner prune --all
    equals 2 "$(printf '%s\n' "$DIRECTORY"/*T*.tar.zst | wc -l)"
    expect 3 drunner prune --all
}

@test "the newest that is whole stays, whatever is damaged, and what is damaged does not count" {
    history 2026010{1,2,3,4,5}T030000Z
    # Cut, one bit, no backup at all: the three newest.
    truncate -s -100 "$DIRECTORY/20260105T030000Z.tar.zst"
    printf x | dd of="$DIRECTORY/20260104T030000Z.tar.zst" bs=1 seek=3000 conv=notrunc status=none
    echo nothing >"$DIRECTORY/20260103T030000Z.tar.zst"
    expect 0 drunner prune dtest --keep last=1
    equals 3 "$(grep -c 'does not count' <<<"$stderr")"
    equals "20260102T030000Z.tar.zst 20260103T030000Z.tar.zst 20260104T030000Z.tar.zst 20260105T030000Z.tar.zst" "$(stay)"
    expect 0 drunner verify "$DIRECTORY/20260102T030000Z.tar.zst"
    rm "$DIRECTORY/20260102T030000Z.tar.zst"
    refused "no backup of 'dtest' is whole, so none is removed" drunner prune dtest --keep last=1
}

@test "one bit in an older backup is found with --verify, and that one does not count" {
    history 2026010{1,2,3}T030000Z
    printf x | dd of="$DIRECTORY/20260102T030000Z.tar.zst" bs=1 seek=3000 conv=notrunc status=none
    expect 3 drunner prune dtest --keep last=2 --verify --check --json
    equals 20260102T030000Z.tar.zst "$(jq -r '.services[0].damaged[0].file' <<<"$output" | xargs basename)"
    expect 3 drunner prune dtest --keep last=2 --verify
    expect 0 drunner prune dtest --keep last=2
    equals "20260102T030000Z.tar.zst 20260103T030000Z.tar.zst" "$(stay)"
}

@test "encrypted backups: with the key, or just behind the backup that wrote the newest" {
    history
    expect 0 drunner keygen key
    local recipient=$output
    expect 0 drunner backup dtest --recipient "$recipient"
    local newest
    newest=$(printf '%s\n' "$DIRECTORY"/*)
    cp "$newest" "$DIRECTORY/20250101T000000Z.tar.zst.age"
    expect 0 drunner prune dtest --keep last=1
    equals "$(basename "$newest")" "$(stay)"
    # Nobody knows this one.
    mv "$newest" "$DIRECTORY/20250102T000000Z.tar.zst.age"
    cp "$DIRECTORY/20250102T000000Z.tar.zst.age" "$DIRECTORY/20250101T000000Z.tar.zst.age"
    refused "is encrypted for age recipients" drunner prune dtest --keep last=1
    expect 0 drunner prune dtest --keep last=1 --identity key
    equals "20250102T000000Z.tar.zst.age" "$(stay)"
}

@test "prune without a rule, with a wrong one, or for nobody is refused" {
    history 20260101T030000Z
    refused "no rule says which backups to keep" drunner prune dtest
    refused "'fortnightly=2' is no rule" drunner prune dtest --keep fortnightly=2
    refused "needs SERVICE" drunner prune
    refused "needs SERVICE" drunner prune dtest --all
    expect 3 drunner prune nosuch --keep last=1
    configure RETENTION="last=x"
    refused "line .*'last=x' is no rule" drunner list
    configure HEALTHUPTIME=0
}

@test "backup --all: every service to a file of its own, and one that fails does not stop the others" {
    expect 3 drunner backup --all
    expect 0 drunner install dtest
    expect 0 drunner install helloworld
    expect 0 drunner install simplesecrets
    expect 0 drunner backup --all --json
    equals '["dtest","helloworld","simplesecrets"]' "$(jq -c '[.services[].service]' <<<"$output")"
    for file in $(jq -r '.services[].file' <<<"$output"); do expect 0 drunner verify "$file"; done
    DTEST_FAIL=backupstart expect 1 drunner backup --all --json
    equals '[["dtest","script-failed"],["helloworld",null],["simplesecrets",null]]' \
        "$(jq -c '[.services[] | [.service, .error.kind]]' <<<"$output")"
    equals "2 2 1" "$(for name in helloworld simplesecrets dtest; do
        find "$DRUNNER_PREFIX/var/lib/drunner/backups/$name" -type f | wc -l; done | xargs)"
    refused "exclude each other" drunner backup --all dtest
    refused "needs SERVICE or --all" drunner backup
}

@test "restore --all brings a lost host back, each service from its newest whole backup" {
    local name state
    for name in one two three; do
        expect 0 drunner install dtest "$name"
        "$name" write told "of $name"
    done
    expect 0 drunner install helloworld
    configure HEALTHUPTIME=0 BACKUPDIR="$PWD/kept"
    expect 0 drunner backup --all
    # The newest of two is damaged, and there is one of which nothing is whole.
    cp "$(printf '%s\n' kept/two/*)" kept/two/29990101T000000Z.tar.zst
    truncate -s -100 kept/two/29990101T000000Z.tar.zst
    mkdir kept/gone
    echo nothing >kept/gone/20260101T000000Z.tar.zst
    touch kept/notes
    for name in one two three; do expect 0 drunner obliterate --purge "$name"; done

    state=$(snapshot)
    expect 1 drunner restore --all kept --check
    same "$state" "$(snapshot)"
    expect 1 drunner restore --all kept --json
    equals '[["gone",false],["helloworld",false],["one",true],["three",true],["two",true]]' \
        "$(jq -c '[.services[] | [.service, .changed]]' <<<"$output")"
    equals '["archive-damaged",null]' "$(jq -c '[.services[0, 1].error.kind]' <<<"$output")"
    for name in one two three; do
        expect 0 "$name" read told
        equals "of $name" "$output"
    done
    rm -r kept/gone
    expect 3 drunner restore --all kept
    refused "has no directory of a service's backups" drunner restore --all kept/two
    refused "takes a directory, and no SERVICE" drunner restore --all kept one
}

@test "AFTER_BACKUP copies elsewhere, and its failure is the backup's" {
    mkdir elsewhere
    # shellcheck disable=SC2016 # sh expands it
    configure HEALTHUPTIME=0 "AFTER_BACKUP='cp \"\$BACKUP_FILE\" elsewhere/\$SERVICENAME && echo copied'"
    sed -i "s|elsewhere/|$PWD/elsewhere/|" "$DRUNNER_PREFIX/etc/drunner/config.sh"
    expect 0 drunner install dtest
    expect 0 drunner backup dtest "$PWD/b"
    contains "$stderr" copied
    cmp b elsewhere/dtest
    # Through a pipe there is no file, and with --check nothing runs.
    rm elsewhere/dtest
    expect 0 drunner backup dtest other --check
    drunner backup dtest - >piped
    [[ ! -e elsewhere/dtest ]]
    rmdir elsewhere
    expect 1 drunner backup dtest "$PWD/c"
    says "the backup '$PWD/c' is whole, but AFTER_BACKUP failed with status 1"
    expect 0 drunner verify c
    expect 1 drunner backup --all
    expect 0 drunner log -n 1
    contains "$output" "root  1  backup --all"
}
