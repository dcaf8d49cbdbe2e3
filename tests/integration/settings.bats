#!/usr/bin/env bats
# Settings: declared by the image, given by the operator, seen by the scripts.

load harness

@test "a setting is set once, and the second time nothing changes" {
    expect 0 drunner install configurable
    expect 0 drunner configure configurable PORT=8080 PUBLIC=true
    expect 3 drunner configure configurable PORT=8080 PUBLIC=yes
    expect 0 configurable show
    equals "my blog|8080|yes" "$output"
    equals 600 "$(stat -c %a "$DRUNNER_PREFIX/var/lib/drunner/services/configurable/service.json")"
    equals 600 "$(stat -Lc %a "$DRUNNER_PREFIX/var/lib/drunner/services/configurable/drunner/variables.sh")"
}

@test "a cleared setting has its default again" {
    expect 0 drunner install configurable
    expect 0 drunner configure configurable "TITLE=it's \"mine\" \$(id)"
    expect 0 configurable show
    equals "it's \"mine\" \$(id)|80|no" "$output"
    expect 0 drunner configure configurable --clear TITLE
    expect 3 drunner configure configurable --clear TITLE
    expect 0 configurable show
    equals "my blog|80|no" "$output"
}

@test "settings tells value, origin and meaning of each" {
    expect 0 drunner install configurable
    expect 0 drunner configure configurable PORT=8080
    expect 0 drunner settings configurable
    grep -qE '^PORT +8080 +set +port +where it listens$' <<<"$output"
    grep -qE '^TITLE +my blog +default +string ' <<<"$output"
    grep -qE '^OWNER +missing ' <<<"$output"
    expect 0 drunner --json settings configurable
    equals 7 "$(jq '.settings | length' <<<"$output")"
    equals 8080 "$(jq -r '.settings[] | select(.name == "PORT").value' <<<"$output")"
}

@test "a value of another type is refused, naming what is meant" {
    expect 0 drunner install configurable
    refused "'PORT' is '0', where a port from 1 to 65535" drunner configure configurable PORT=0
    refused "'COUNT' is 'two', where a whole number" drunner configure configurable COUNT=two
    refused "'PUBLIC' is 'maybe', where yes or no" drunner configure configurable PUBLIC=maybe
    refused "'SHARE' is 'x', where an absolute path" drunner configure configurable SHARE=x
    refused "'HOME_PAGE' is 'x', where a URL" drunner configure configurable HOME_PAGE=x
    refused "no setting 'NOSUCH'" drunner configure configurable NOSUCH=1
    names_next "drunner settings configurable"
    refused "'PORT' is no setting" drunner configure configurable PORT
}

@test "what is missing is named by the command that needs it, all of it" {
    expect 0 drunner install configurable
    expect 1 configurable start
    grep -q 'OWNER SHARE' <<<"$stderr"
    expect 0 drunner configure configurable OWNER=me SHARE=/srv
    expect 0 configurable start
    equals "started for me" "$output"
}

@test "update runs the hooks with a changed setting, once" {
    expect 0 drunner install configurable
    expect 3 drunner update configurable
    expect 0 drunner configure configurable TITLE=other
    expect 0 drunner update configurable
    grep -q 'updateend saw other 80' <<<"$output$stderr"
    expect 3 drunner update configurable
}

@test "install takes settings, and refuses to say 'no change' where they differ" {
    expect 0 drunner install --set PORT=81 configurable
    grep -q 'install saw my blog 81' <<<"$output$stderr"
    expect 3 drunner install --set PORT=81 configurable
    refused "with another 'PORT'" drunner install --set PORT=82 configurable
    names_next "drunner configure configurable PORT=VALUE"
    refused "has no setting 'NOSUCH'" drunner install --set NOSUCH=1 configurable other
    refused "'PORT' is 'x'" drunner install --set PORT=x configurable other
}

@test "settings go into backups and come back under another name" {
    expect 0 drunner install configurable
    expect 0 drunner configure configurable "TITLE=kept" PORT=8080
    expect 0 drunner backup configurable b.tar.zst
    expect 0 drunner restore b.tar.zst copy
    expect 0 copy show
    equals "kept|8080|no" "$output"
    expect 3 drunner update copy
}

@test "a killed configure is undone, or done, by recover" {
    expect 0 drunner install configurable
    local before number
    before=$(snapshot)
    for number in 1 2 3 4 5; do
        run strace -f -o /dev/null -e trace=fsync -e "inject=fsync:signal=KILL:when=$number" \
            "$DRUNNER_BINARY" configure configurable PORT=9000
        run drunner recover configurable
        if [[ $(configurable show) == "my blog|80|no" ]]; then
            same "$before" "$(snapshot)"
        else
            equals "my blog|9000|no" "$(configurable show)"
            expect 0 drunner configure configurable --clear PORT
            same "$before" "$(snapshot)"
        fi
    done
}
