#!/usr/bin/env bats
# drunner schedule: timers of systemd's and of cron's, and what they run.

load harness
load readme

# Programs that answer as the files in `systemd` say, and write what they are called with to `calls`.
fake_systemd() {
    UNITS=$DRUNNER_PREFIX/etc/systemd/system
    CRON=$DRUNNER_PREFIX/etc/cron.d/drunner
    SCHEDULES=$DRUNNER_PREFIX/var/lib/drunner/schedules
    mkdir -p bin systemd
    cat >bin/systemctl <<'BASH'
#!/bin/bash
printf '%s\n' "$*" >>"$SYSTEMD/../calls"
unit=${*: -1}
if [[ $1 == "$(cat "$SYSTEMD/fails" 2>/dev/null)" ]]; then
    echo "no $1 today" >&2
    exit 4
fi
case $1 in
    enable) touch "$SYSTEMD/$unit.enabled" ;;
    restart) touch "$SYSTEMD/$unit.active" ;;
    disable) rm -f "$SYSTEMD/$unit".* ;;
    is-enabled) [[ -e $SYSTEMD/$unit.enabled ]] ;;
    is-active) [[ -e $SYSTEMD/$unit.active ]] ;;
esac
BASH
    cat >bin/systemd-analyze <<'BASH'
#!/bin/bash
[[ $* == "calendar 2030-01-01 12:00" ]]
BASH
    sed -i "s|\$SYSTEMD|$PWD/systemd|g" bin/systemctl
    chmod +x bin/*
    PATH=$PWD/bin:$PATH
}

with_systemd() {
    fake_systemd
    mkdir -p "$DRUNNER_PREFIX/run/systemd/system"
}

with_cron() {
    fake_systemd
    mkdir -p "$DRUNNER_PREFIX/etc/cron.d"
}

# The command that a unit starts, and the one that a line of cron's does.
of_unit() { sed -n 's/^ExecStart=//p' "$UNITS/drunner-$1.service"; }
of_cron() { sed -n "s|^.* root \(.*schedule run '$1'\)\$|\1|p" "$CRON"; }

@test "systemd: units, a timer that is enabled and started, the same again, another time, and gone" {
    with_systemd
    expect 0 drunner install helloworld
    expect 0 drunner schedule backup 'Mon..Fri 22:30' helloworld
    grep -qx 'OnCalendar=Mon..Fri 22:30' "$UNITS/drunner-backup:helloworld.timer"
    grep -qx 'Persistent=true' "$UNITS/drunner-backup:helloworld.timer"
    grep -qx 'WantedBy=timers.target' "$UNITS/drunner-backup:helloworld.timer"
    grep -qx 'SuccessExitStatus=3' "$UNITS/drunner-backup:helloworld.service"
    grep -qx 'Environment=HOME=%h' "$UNITS/drunner-backup:helloworld.service"
    grep -qx "Environment=\"DRUNNER_PREFIX=$DRUNNER_PREFIX\"" "$UNITS/drunner-backup:helloworld.service"
    equals "\"$(readlink -f "$DRUNNER_BINARY")\" schedule run backup:helloworld" "$(of_unit backup:helloworld)"
    run ! grep -q @ "$UNITS"/drunner-backup*
    equals "daemon-reload
enable drunner-backup:helloworld.timer
restart drunner-backup:helloworld.timer" "$(cat calls)"
    expect 3 drunner schedule backup 'Mon..Fri 22:30' helloworld
    expect 0 drunner schedule backup daily helloworld --check
    grep -qx 'OnCalendar=Mon..Fri 22:30' "$UNITS/drunner-backup:helloworld.timer"
    expect 0 drunner schedule backup daily helloworld
    grep -qx 'OnCalendar=daily' "$UNITS/drunner-backup:helloworld.timer"
    # What somebody stopped, or took away, is not there already.
    rm systemd/*.active
    expect 0 drunner schedule list
    contains "$output" "its timer is gone"
    expect 0 drunner schedule backup daily helloworld
    rm "$UNITS/drunner-backup:helloworld.service"
    expect 0 drunner schedule backup daily helloworld
    expect 3 drunner schedule backup daily helloworld
    # Beside it another one, of all services.
    expect 0 drunner schedule backup '2030-01-01 12:00'
    expect 0 drunner schedule list --json
    equals '[["backup","2030-01-01 12:00",[],true],["backup:helloworld","daily",["helloworld"],true]]' \
        "$(jq -c '[.schedules[] | [.id, .when, .services, .stands]]' <<<"$output")"
    expect 0 drunner schedule remove backup --check
    expect 0 drunner schedule remove backup
    expect 3 drunner schedule remove backup
    expect 0 drunner schedule remove backup:helloworld
    equals "" "$(find "$UNITS" "$SCHEDULES" systemd -type f)"
    grep -qx 'disable --now drunner-backup.timer' calls
}

@test "what drunner takes for a time systemd takes as well" {
    command -v /usr/bin/systemd-analyze >/dev/null || skip "no systemd-analyze here"
    with_cron
    local when
    for when in hourly daily weekly monthly yearly 03:00 '*-*-* 03:05:00' 'Mon..Fri 22:30' 'Sat,Sun 4:07' \
        '*:0/15' '8..18/2:30' '*-*-1,15 05:00' '*-02/3-28 00:00'; do
        expect 0 drunner schedule backup "$when"
        expect 0 /usr/bin/systemd-analyze calendar "$when"
    done
}

@test "what is no time, no job or no service is refused, and nothing is written" {
    with_systemd
    expect 0 drunner install helloworld
    local before
    before=$(snapshot)
    for when in nightly 25:00 '*-02-30 12:00' '' $'daily\nExecStart=/bin/false'; do
        refused "is no time that systemd knows" drunner schedule backup "$when"
    done
    refused "cannot be scheduled" drunner schedule install daily
    refused "needs a time" drunner schedule backup
    refused "'nosuch' is not installed|no service 'nosuch'" drunner schedule backup daily nosuch
    refused "cannot be a service's name" drunner schedule backup daily ../x
    refused "is nothing for 'update'" drunner schedule update daily --identity key
    refused "there is no file '.*/nosuch'" drunner schedule verify daily --identity nosuch
    refused "there is no schedule 'backup'" drunner schedule run backup
    refused "there is no schedule '../../x'" drunner schedule run ../../x
    refused "takes a schedule's name" drunner schedule run
    refused "--missed stands behind" drunner schedule list --missed
    same "$before" "$(snapshot)"
    rm -r "$DRUNNER_PREFIX/run/systemd"
    refused "neither systemd runs here, nor is there a '.*' for cron" drunner schedule backup daily
    with_cron
    refused "is no time that cron can keep" drunner schedule backup '2030-01-01 12:00'
    refused "cron takes the one or the other" drunner schedule backup 'Mon *-*-01 05:00'
    equals "" "$(ls "$DRUNNER_PREFIX/etc/cron.d")"
}

@test "where systemctl fails everything is as before" {
    with_systemd
    for call in daemon-reload enable restart; do
        echo "$call" >systemd/fails
        expect 1 drunner schedule verify daily
        says "no $call today"
        equals "" "$(find "$UNITS" "$SCHEDULES" -type f)"
    done
    rm systemd/fails
    expect 0 drunner schedule verify daily
    for call in daemon-reload enable restart; do
        echo "$call" >systemd/fails
        expect 1 drunner schedule verify weekly
        rm systemd/fails
        grep -qx OnCalendar=daily "$UNITS/drunner-verify.timer"
    done
    expect 3 drunner schedule verify daily
}

@test "a timer that cannot be taken away goes on" {
    with_systemd
    configure HEALTHUPTIME=0
    expect 0 drunner schedule verify daily
    local before
    before=$(snapshot)
    for call in disable daemon-reload; do
        echo "$call" >systemd/fails
        expect 1 drunner schedule remove verify
        rm systemd/fails
        # What systemd was told it was told; the same command again puts the rest right.
        same "$before" "$(snapshot)"
        run drunner schedule verify daily
        [[ $status == 0 || $status == 3 ]]
        expect 3 drunner schedule verify daily
    done
}

@test "a job has the engine that was meant when it was set, whoever lists and runs it" {
    with_cron
    configure HEALTHUPTIME=0
    expect 0 drunner install dtest
    expect 0 drunner schedule backup daily
    equals "DOCKER_HOST=$DOCKER_HOST DOCKER_CONFIG=$DOCKER_CONFIG" \
        "$(jq -r '.environment | join(" ")' "$SCHEDULES/backup.json")"
    (unset DOCKER_HOST && expect 0 drunner schedule list && run ! grep -q "timer is gone" <<<"$output")
    (unset DOCKER_HOST && expect 0 drunner schedule run backup)
    (DOCKER_HOST=unix:///nowhere && export DOCKER_HOST && expect 0 drunner schedule run backup)
    expect 0 drunner --host unix:///elsewhere schedule verify daily
    equals DOCKER_HOST=unix:///elsewhere "$(jq -r '.environment[0]' "$SCHEDULES/verify.json")"
    expect 0 drunner schedule remove verify
}

@test "a drunner that is killed on the way leaves what the same command mends" {
    with_systemd
    local number
    for number in 1 2 3 4 5 6; do
        run strace -f -o /dev/null -e trace=fsync -e "inject=fsync:signal=KILL:when=$number" \
            "$DRUNNER_BINARY" schedule verify daily
        run drunner schedule verify daily
        [[ $status == 0 || $status == 3 ]]
        expect 3 drunner schedule verify daily
        run strace -f -o /dev/null -e trace=fsync -e "inject=fsync:signal=KILL:when=$number" \
            "$DRUNNER_BINARY" schedule remove verify
        run drunner schedule remove verify
        [[ $status == 0 || $status == 3 ]]
        expect 3 drunner schedule remove verify
        equals "" "$(find "$UNITS" -name "drunner-*")"
    done
}

@test "cron: one table, whose lines are what is run, and which goes with the last" {
    with_cron
    expect 0 drunner install dtest
    expect 0 drunner schedule backup 03:10
    expect 0 drunner schedule verify 'Sun 04:00' dtest
    expect 3 drunner schedule backup 03:10
    equals "10 3 * * *
0 4 * * 0" "$(sed -n 's/ root .*schedule run .*//p' "$CRON" | grep -v reboot)"
    grep -q '^@reboot root .* schedule run --missed$' "$CRON"
    equals 644 "$(stat -c %a "$CRON")"
    expect 0 bash -c "$(of_cron backup)"
    equals 1 "$(find "$DRUNNER_PREFIX/var/lib/drunner/backups/dtest" -type f | wc -l)"
    expect 0 sh -c "$(of_cron verify:dtest)"
    expect 0 drunner schedule list --json
    equals '[0,0]' "$(jq -c '[.schedules[].exit]' <<<"$output")"
    expect 0 drunner schedule remove backup
    run ! grep -q "'backup'" "$CRON"
    grep -q "'verify:dtest'" "$CRON"
    expect 0 drunner schedule remove verify:dtest
    [[ ! -e $CRON ]]
}

@test "doctor tells of a schedule whose timer is gone, whose run failed, or whose service is gone" {
    with_cron
    expect 0 drunner install dtest
    expect 0 drunner install helloworld
    expect 0 drunner schedule backup 03:10
    expect 0 drunner schedule drill daily helloworld
    expect 3 drunner doctor
    rm "$CRON"
    expect 1 drunner doctor --json
    equals '["schedule",true]' "$(jq -c '[.findings[] | .check, .mendable] | unique | reverse' <<<"$output")"
    expect 0 drunner doctor --fix
    expect 3 drunner schedule backup 03:10
    expect 1 drunner schedule run drill:helloworld
    expect 1 drunner doctor
    contains "$output" "the last run of schedule 'drill:helloworld'"
    expect 0 drunner uninstall helloworld
    expect 1 drunner doctor
    contains "$output" "schedule 'drill:helloworld' is for a service that is not installed"
    contains "$output" "drunner schedule remove drill:helloworld"
    cp "$SCHEDULES/backup.json" good
    printf '{' >"$SCHEDULES/backup.json"
    expect 1 drunner doctor
    contains "$output" "backup.json"
    cp good "$SCHEDULES/backup.json"
    expect 0 drunner schedule remove drill:helloworld
    expect 3 drunner doctor
}

@test "each job does its work, and a key goes with it" {
    with_cron
    drunner keygen key 2>/dev/null >public
    configure HEALTHUPTIME=0 "RECIPIENTS=$(cat public)" RETENTION=last=1
    expect 0 drunner install dtest
    expect 0 drunner install helloworld
    expect 0 drunner schedule backup daily
    expect 0 drunner schedule backup daily dtest helloworld
    expect 0 drunner schedule verify daily --identity key
    expect 0 drunner schedule drill daily dtest --identity key
    printf 'open sesame' >password
    expect 0 drunner schedule drill daily helloworld --password-file password
    equals "[\"--password-file=$PWD/password\"]" "$(jq -c .options "$SCHEDULES/drill:helloworld.json")"
    expect 0 drunner schedule update daily
    # Nothing to verify is no success.
    expect 1 drunner schedule run verify
    tells "'dtest' has no backup in"
    expect 0 drunner schedule run backup
    expect 0 drunner schedule run backup:dtest:helloworld
    # RETENTION counts: of two backups one is left.
    equals "1 1" "$(for name in dtest helloworld; do
        find "$DRUNNER_PREFIX/var/lib/drunner/backups/$name" -type f | wc -l; done | xargs)"
    (cd / && expect 0 drunner schedule run verify)
    expect 0 drunner schedule run drill:dtest
    expect 3 drunner schedule run update
    "$DOCKER" tag dtest-2 dtest
    expect 0 drunner schedule run update
    expect 0 drunner log -n 2
    contains "$output" "update --all"
    contains "$output" "schedule run update"
    refused "cannot be foretold" drunner --check schedule run update
    # On hold is on hold, also by name.
    expect 0 drunner schedule update daily helloworld
    expect 0 drunner hold helloworld
    expect 3 drunner schedule run update:helloworld
    contains "$stderr" "helloworld  held"
    expect 0 drunner hold --off helloworld
    # A service that is gone fails alone.
    expect 0 drunner uninstall helloworld
    expect 1 drunner schedule run backup:dtest:helloworld --json
    equals '[["backup:dtest:helloworld",1]]' "$(jq -c '[.ran[] | [.id, .exit]]' <<<"$output")"
    expect 0 drunner schedule list
    contains "$output" "not installed any more: helloworld"
    # Who must be asked before its scripts run as root is not updated by a timer.
    configure HEALTHUPTIME=0 REVIEW=pin
    "$DOCKER" tag dtest "$REGISTRY/unseen"
    local directory
    directory=$(copy_of dtest)
    echo '# unseen' >>"$directory/drunner/servicerunner"
    build_directory "$directory" dtest
    expect 1 drunner schedule run update
    tells "nobody accepted them"
}

@test "ON_FAILURE is told what failed, and its own failure changes nothing" {
    with_systemd
    configure HEALTHUPTIME=0 "ON_FAILURE='env | sort >$PWD/told; cat >>$PWD/told; exit 7'"
    expect 0 drunner install dtest
    expect 0 drunner schedule backup daily
    expect 0 drunner schedule run backup
    [[ ! -e told ]]
    # As the unit starts it.
    DTEST_FAIL=backupstart
    export DTEST_FAIL
    configure HEALTHUPTIME=0 "HOOKENV=DTEST_FAIL" "ON_FAILURE='env | sort >$PWD/told; cat >>$PWD/told; exit 7'"
    expect 1 bash -c "$(of_unit backup)"
    tells "ON_FAILURE failed with status 7"
    grep -qx DRUNNER_JOB=backup told
    grep -qx DRUNNER_SCHEDULE=backup told
    grep -q "'backupstart' of the service failed" told
    run ! grep -q DTEST_FAIL= told
    expect 0 drunner schedule list
    contains "$output" "failed 2"
}

@test "what the host slept through is caught up once" {
    with_cron
    expect 0 drunner install helloworld
    expect 0 drunner schedule backup hourly
    expect 3 drunner schedule run --missed
    sed -i 's/"set_at": "[^"]*"/"set_at": "2026-01-01T00:00:00+00:00"/' "$SCHEDULES/backup.json"
    expect 0 drunner schedule run --missed
    equals 1 "$(find "$DRUNNER_PREFIX/var/lib/drunner/backups/helloworld" -type f | wc -l)"
    expect 3 drunner schedule run --missed
}

@test "a run that is still going on keeps the next one away, which is told" {
    with_cron
    configure HEALTHUPTIME=0 "ON_FAILURE='cat >$PWD/told'"
    expect 0 drunner install helloworld
    expect 0 drunner schedule backup daily
    exec 8>"$DRUNNER_PREFIX/run/drunner/backup+schedule.lock"
    flock 8
    expect 1 drunner schedule run backup
    says "backup+schedule|works on|lock"
    [[ -s told ]]
    exec 8>&-
    expect 0 drunner schedule run backup
}

@test "what README.md types about schedules works" {
    with_cron
    configure HEALTHUPTIME=0
    expect 0 drunner install dtest
    works_as_it_stands README.md 8 schedules
}
