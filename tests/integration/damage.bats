#!/usr/bin/env bats
# What is damaged is said to be so, by verify and by restore, and leaves nothing. The thousands of
# it are a unit test; here is a sample through the binary.

load harness

# Writes the copy "damaged", in which a bit is changed.
flip() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    cp "$1" damaged
    printf '%b' "$(printf '\\x%02x' $((byte ^ (1 << RANDOM % 8))))" |
        dd of=damaged bs=1 seek="$2" conv=notrunc status=none
}

damaged_is_refused() { # OPTIONS...
    local before
    expect 1 drunner verify damaged "$@"
    says "damaged"
    before=$(snapshot)
    expect 1 drunner restore damaged copy "$@"
    says "damaged"
    same "$before" "$(snapshot)"
}

sample_damage() { # FILE OPTIONS...
    local file=$1 size seed=$RANDOM rounds=4
    shift
    size=$(stat -c %s "$file")
    printf 'seed %s\n' "$seed"
    RANDOM=$seed
    expect 0 drunner verify "$file" "$@"
    while ((rounds-- > 0)); do
        flip "$file" $(((RANDOM * 32768 + RANDOM) % size))
        damaged_is_refused "$@"
        head -c $(((RANDOM * 32768 + RANDOM) % size)) "$file" >damaged
        damaged_is_refused "$@"
    done
    cat "$file" "$file" >damaged
    damaged_is_refused "$@"
}

@test "a damaged backup is refused" {
    expect 0 drunner install dtest
    fill_dtest dtest
    expect 0 drunner backup dtest b
    sample_damage b
}

@test "a damaged backup for a recipient is refused" {
    expect 0 drunner install dtest
    fill_dtest dtest
    age-keygen -o key 2>/dev/null
    expect 0 drunner backup dtest b --recipient "$(age-keygen -y key)"
    sample_damage b --identity key
    # And what is whole is opened by age.
    age -d -i key b | zstd -dc | tar t | grep -q precious
}
