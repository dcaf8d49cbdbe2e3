#!/usr/bin/env bats
# Every command of README's tour, as it stands there.

load harness
load readme

@test "the tour of README.md works" {
    works_as_it_stands README.md 20
}

@test "services/README.md leads from nothing to level 8" {
    works_as_it_stands services/README.md 25
}

@test "what the services' README.md say works" {
    works_as_it_stands services/helloworld/README.md 3
    works_as_it_stands services/simplesecrets/README.md 3
    works_as_it_stands services/dtest/README.md 5
    works_as_it_stands services/blocks/README.md 15
    works_as_it_stands services/redis/README.md 14
    works_as_it_stands services/daos-client/README.md 14
}

@test "README.md tells every kind of failure that the source has" {
    local kind count=0
    while read -r kind; do
        count=$((count + 1))
        grep -qF "| \`$kind\` |" "$ROOT/README.md" || {
            printf 'not in README.md: %s\n' "$kind"
            return 1
        }
    done < <(sed -n 's/^.*KindRow{ErrorKind::[a-z_]*, *"\([a-z-]*\)".*/\1/p' \
        "$ROOT/source/core/error.cpp")
    ((count > 20))
}
