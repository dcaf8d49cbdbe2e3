#!/usr/bin/env bats
# restore, verify, show and drill of the backups that the tool of 2016 wrote: 7-Zip archives, made here
# as it made them.

load harness

# As its compress did: the tar of a directory, which 7za reads from stdin.
pack() { # DIRECTORY FILE [PASSWORD]
    tar --create --file - --directory "$1" . |
        7z a -si -bso0 -bsp0 ${3:+"-p$3"} "$2"
}

# What the directory of an old backup holds before it is packed: two volumes of a dtest, with all that
# its tar kept. Volumes are packed with the same password.
old_parts() { # DIRECTORY [PASSWORD]
    local one=$1.1 two=$1.2
    mkdir -p "$1/drbackup" "$1/containerbackup" "$one/deep/er" "$one/empty" "$two"
    chmod 0777 "$1/containerbackup"
    printf 'Fri Feb 12 10:11:12 UTC 2016\n' | tee "$one/install_date" >"$two/install_date"
    printf 'precious\n' >"$one/precious"
    head -c 300000 /dev/urandom >"$one/random"
    ln "$one/precious" "$one/deep/hard link"
    ln -s ../precious "$one/deep/er/soft"
    ln -s /nowhere "$two/dangling"
    printf 'long\n' >"$one/deep/$(printf 'n%.0s' {1..200})"
    printf 'x' >"$two/"$'name with \n a line'
    mkfifo "$two/pipe"
    truncate -s 1M "$two/zeros"
    chmod 04751 "$one/random"
    chmod 02770 "$one/deep"
    chown 22022:33 "$one/precious"
    chown -h 1234:4321 "$one/deep/er/soft"
    touch -d '2001-02-03 04:05:06' "$one/precious" "$one/empty"
    # What dtest's restore hook compares: a file of the hook's with one in the second volume.
    printf 'from 2016\n' | tee "$two/.witness" >"$1/containerbackup/witness"
    # As it made volumes: their top directory is the image's user's.
    chown 22022:0 "$one" "$two"
    pack "$one" "$1/drbackup/drunner-old-data.tar.7z" "${2-}"
    pack "$two" "$1/drbackup/drunner-old-varlibwitness.tar.7z" "${2-}"
    cat >"$1/_oldvariables" <<'VARIABLES'
OLDDOCKERVOLS=("drunner-old-data" "drunner-old-varlibwitness")
IMAGENAME="dtest"
VARIABLES
}

old_backup() { # FILE [PASSWORD]
    old_parts "$BATS_TEST_TMPDIR/old" "${2-}"
    pack "$BATS_TEST_TMPDIR/old" "$1" "${2-}"
}

# What a tar keeps: whole seconds.
tree() { # DIRECTORY
    listing "$1" | sed -E 's/(\|[0-9]+)\.[0-9]+$/\1/'
}

# The restored service has what the old backup held; its restore hook took the witness away.
same_as_old() { # SERVICE
    local volume
    rm -f "$BATS_TEST_TMPDIR/old.2/.witness"
    for volume in data:1 varlibwitness:2; do
        same "$(tree "$BATS_TEST_TMPDIR/old.${volume#*:}")" \
            "$(tree "$(mount_point "drunner-$1-${volume%:*}")")"
    done
}

@test "a backup of the old tool comes back, under its own and another name" {
    old_backup b.7z secret
    PASS=secret expect 0 drunner restore b.7z old
    same_as_old old
    equals "install restore" "$(calls | xargs)"
    PASS=secret expect 0 drunner restore b.7z copy
    same_as_old copy
    expect 0 old write file new
    expect 0 drunner backup old new-backup
    expect 0 drunner verify new-backup
}

@test "without a password, through a pipe, and onto another image" {
    old_backup b.7z
    "$DOCKER" tag dtest successor:1
    expect 0 drunner restore - one --image successor:1 < <(cat b.7z)
    same_as_old one
    equals successor:1 "$(drunner status one --json | jq -r .reference)"
    PASS=secret refused "not encrypted" drunner restore b.7z two
    PASS=secret expect 0 drunner verify b.7z --plain
}

@test "verify and show read it, and say what it is" {
    old_backup b.7z secret
    PASS=secret expect 0 drunner verify b.7z
    contains "$output" "9 files"
    printf 'secret\n' >password
    expect 0 drunner show b.7z --password-file password
    contains "$output" "of 2016"
    contains "$output" "drunner-old-data/precious"
    expect 0 drunner show b.7z --password-file password --json
    equals "true dtest drunner-old-data" \
        "$(jq -r '"\(.from_old_tool) \(.reference) \(.volumes[0].name)"' <<<"$output")"
}

@test "a backup of its first versions in C++: their variables, and the password with its quotes" {
    old_parts "$BATS_TEST_TMPDIR/old" '"secret"'
    rm "$BATS_TEST_TMPDIR/old/_oldvariables"
    cat >"$BATS_TEST_TMPDIR/old/oldvariables.sh" <<'VARIABLES'
VOLUMES=("/data" "/var/lib/witness")
EXTRACONTAINERS=()
SERVICENAME="old"
IMAGENAME="dtest"
SERVICETEMPDIR="/opt/drunner/services/old/temp"
DOCKERVOLS=("drunner-old-data" "drunner-old-varlibwitness")
DOCKEROPTS=("-v" "drunner-old-data:/data" "-v" "drunner-old-varlibwitness:/var/lib/witness")
INSTALLTIME="Sun Mar 20 10:11:12 2016"
HOSTIP="10.0.0.1"
VARIABLES
    pack "$BATS_TEST_TMPDIR/old" b.7z '"secret"'
    PASS=secret expect 0 drunner restore b.7z
    same_as_old old
}

@test "a backup that names no service needs a name" {
    old_backup b.7z
    refused "does not say" drunner restore b.7z
    names_next "drunner restore FILE SERVICE"
}

@test "a wrong password, none, and damage are told apart, and nothing is left" {
    old_backup b.7z secret
    PASS=wrong refused "password does not open" drunner restore b.7z old
    names_next --password-file
    refused "encrypted with a password" drunner restore b.7z old
    names_next --password-file
    refused "encrypted with a password" drunner verify b.7z
    head -c -100 b.7z >short
    PASS=secret refused damaged drunner restore short old
    head -c 20 b.7z >stump
    PASS=secret refused damaged drunner verify stump
}

@test "damage in a volume's archive undoes the restore" {
    old_parts "$BATS_TEST_TMPDIR/old"
    truncate -s -100 "$BATS_TEST_TMPDIR/old/drbackup/drunner-old-varlibwitness.tar.7z"
    pack "$BATS_TEST_TMPDIR/old" b.7z
    refused "damaged.*drunner-old-varlibwitness" drunner restore b.7z old
    # The old tool did not see it when its tar failed.
    tar --create --file - --directory "$BATS_TEST_TMPDIR/old.2" . | head -c 5000 |
        7z a -si -bso0 -bsp0 cut.7z
    mv cut.7z "$BATS_TEST_TMPDIR/old/drbackup/drunner-old-varlibwitness.tar.7z"
    rm b.7z
    pack "$BATS_TEST_TMPDIR/old" b.7z
    refused "damaged.*drunner-old-varlibwitness" drunner verify b.7z
    refused "damaged.*drunner-old-varlibwitness" drunner restore b.7z old
}

@test "its variables are read as data, its scripts never run" {
    old_parts "$BATS_TEST_TMPDIR/old"
    # shellcheck disable=SC2016
    printf 'IMAGENAME="dtest$(touch %s/canary)"\n' "$BATS_TEST_TMPDIR" \
        >>"$BATS_TEST_TMPDIR/old/_oldvariables"
    pack "$BATS_TEST_TMPDIR/old" b.7z
    refused "nothing of it is executed" drunner restore b.7z old
    refused "nothing of it is executed" drunner show b.7z
    [[ ! -e $BATS_TEST_TMPDIR/canary ]]
    sed -i '$d' "$BATS_TEST_TMPDIR/old/_oldvariables"
    printf '#!/bin/sh\ntouch %s/canary\n' "$BATS_TEST_TMPDIR" |
        tee "$BATS_TEST_TMPDIR/old/containerbackup/restore" \
            >"$BATS_TEST_TMPDIR/old/servicerunner"
    chmod 0755 "$BATS_TEST_TMPDIR/old/servicerunner" \
        "$BATS_TEST_TMPDIR/old/containerbackup/restore"
    rm b.7z
    pack "$BATS_TEST_TMPDIR/old" b.7z
    expect 0 drunner restore b.7z old
    [[ ! -e $BATS_TEST_TMPDIR/canary ]]
}

# The old backup with this tar in the place of its second volume.
with_volume() { # TAR
    rm -f b.7z "$BATS_TEST_TMPDIR/old/drbackup/drunner-old-varlibwitness.tar.7z"
    7z a -si -bso0 -bsp0 "$BATS_TEST_TMPDIR/old/drbackup/drunner-old-varlibwitness.tar.7z" <"$1"
    pack "$BATS_TEST_TMPDIR/old" b.7z
}

@test "a hostile volume is refused, and nothing is left" {
    old_parts "$BATS_TEST_TMPDIR/old"
    local two=$BATS_TEST_TMPDIR/old.2
    printf 'out\n' >"$two/evil"
    tar --create --file up.tar --absolute-names --transform 's,^\./evil$,../evil,' \
        --directory "$two" .
    with_volume up.tar
    refused "leads up" drunner restore b.7z old
    tar --create --file absolute.tar --absolute-names "$two/evil"
    with_volume absolute.tar
    refused "absolute" drunner restore b.7z old
    # A link, and then a file through it.
    mkdir outside through
    ln -s "$PWD/outside" "$two/link"
    tar --create --file link.tar --directory "$two" .
    mkdir through/link
    printf 'out\n' >through/link/evil
    tar --append --file link.tar --directory through ./link/evil
    with_volume link.tar
    refused "not in its place" drunner restore b.7z old
    equals "" "$(ls outside)"
    rm "$two/link"
    tar --create --file hard.tar --absolute-names --transform 's,^\./deep/hard link$,/etc/passwd,' \
        --directory "$BATS_TEST_TMPDIR/old.1" .
    with_volume hard.tar
    refused "absolute" drunner restore b.7z old
}

@test "a device is never made" {
    old_parts "$BATS_TEST_TMPDIR/old"
    mknod "$BATS_TEST_TMPDIR/old.2/device" b 7 200
    tar --create --file device.tar --directory "$BATS_TEST_TMPDIR/old.2" .
    with_volume device.tar
    expect 0 drunner restore b.7z old
    tells "is a device and is left out"
    [[ ! -e $(mount_point drunner-old-varlibwitness)/device ]]
    [[ -e $(mount_point drunner-old-varlibwitness)/zeros ]]
}

@test "volumes go by their position, and a difference in number is told" {
    old_parts "$BATS_TEST_TMPDIR/old"
    build_with_config renamed:1 'VOLUMES=("/first" "/second")'
    build_with_config smaller:1 'VOLUMES=("/config")'
    pack "$BATS_TEST_TMPDIR/old" b.7z
    expect 0 drunner restore b.7z old --image renamed:1
    tells "'drunner-old-data' of the backup goes to '/first'"
    equals precious "$(<"$(mount_point drunner-old-first)/precious")"
    [[ -e $(mount_point drunner-old-second)/zeros ]]
    # One volume less on this side.
    refused "differ in number.*'drunner-old-data', 'drunner-old-varlibwitness'.*'/config'" \
        drunner restore b.7z fewer --image smaller:1
    names_next --partial
    expect 0 drunner restore b.7z fewer --image smaller:1 --partial
    equals precious "$(<"$(mount_point drunner-fewer-config)/precious")"
    # One that the old tool left out, as it did with a success.
    rm b.7z "$BATS_TEST_TMPDIR/old/drbackup/drunner-old-data.tar.7z"
    pack "$BATS_TEST_TMPDIR/old" b.7z
    refused "left out of it: 'drunner-old-data'" drunner restore b.7z gone
    refused "drbackup/drunner-old-data.tar.7z' is missing" drunner verify b.7z
    expect 0 drunner restore b.7z gone --partial
    equals "" "$(ls "$(mount_point drunner-gone-data)")"
}

@test "over an installed service: its image and settings stay, the data is the old one's" {
    old_backup b.7z
    expect 0 drunner install dtest old
    expect 0 old write file "newer data"
    refused "installed already" drunner restore b.7z old
    expect 0 drunner restore b.7z old --replace
    same_as_old old
    expect 0 drunner drill old b.7z
    expect 0 drunner status old
    contains "$output" passed
}

@test "the password stands in no argument and no environment of 7z" {
    old_backup b.7z topsecret
    local real
    real=$(command -v 7z)
    cat >"$BATS_TEST_TMPDIR/bin/7z" <<SCRIPT
#!/bin/bash
tr '\\0' '\\n' </proc/\$\$/cmdline >>$BATS_TEST_TMPDIR/seen
tr '\\0' '\\n' </proc/\$\$/environ >>$BATS_TEST_TMPDIR/seen
exec $real "\$@"
SCRIPT
    # It may write no files, so the witness gets what it saw from a pipe.
    mkfifo "$BATS_TEST_TMPDIR/seen"
    chmod 0755 "$BATS_TEST_TMPDIR/bin/7z"
    cat <>"$BATS_TEST_TMPDIR/seen" >all &
    local reader=$!
    PASS=topsecret expect 0 drunner verify b.7z
    kill "$reader"
    contains "$(<all)" -so
    [[ $(<all) != *topsecret* ]]
}

@test "without 7z it says what to install" {
    old_backup b.7z
    mkdir empty
    run --separate-stderr env PATH="$PWD/empty" "$DRUNNER_BINARY" restore b.7z old
    equals 1 "$status"
    says "no 7z"
    names_next "apt-get install p7zip-full"
}
