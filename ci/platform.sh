# shellcheck shell=bash
# Sourced after lib.sh by the checks that look at other systems: Debian packages of other releases
# (unpacked into the cache, never installed), and the standard library for targets that the
# toolchain came without.

mkdir -p "$CACHE"

# The mirror that this machine's own apt uses for ARCHIVE (`debian` or `debian-security`).
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep -m 1 -E "/$1/?\$" || :
}

# other_apt apt-get|apt-cache ARGS...: apt with lists, sources and cache of its own, so that the
# machine's stay as they are.
other_apt() {
    local tool=$1
    shift
    "$tool" -o Dir::State::Lists="$CACHE/apt/lists" -o Dir::Cache="$CACHE/apt/cache" \
        -o Dir::Etc::SourceList="$CACHE/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o APT::Sandbox::User=root "$@" 2>/dev/null
}

# archive_ready: the package lists of the Debian releases that checks take packages from, at most a
# day old. False where this machine has no Debian mirror.
archive_ready() {
    local main security keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite
    if [ -n "$(find "$CACHE/apt/ready" -mtime -1 2>/dev/null)" ]; then
        return 0
    fi
    command -v apt-get >/dev/null && [ -e "$keyring" ] || return 1
    main=$(mirror debian)
    if [ -z "$main" ]; then
        as_root apt-get -qq update >/dev/null 2>&1 || :
        main=$(mirror debian)
    fi
    security=$(mirror debian-security)
    [ -n "$main" ] || return 1
    mkdir -p "$CACHE"/apt/{lists/partial,cache/archives/partial}
    for suite in bullseye bookworm trixie trixie-backports; do
        echo "deb [arch=amd64 signed-by=$keyring] $main $suite main"
    done >"$CACHE/apt/sources.list"
    for suite in bullseye-security bookworm-security trixie-security; do
        [ -z "$security" ] || echo "deb [arch=amd64 signed-by=$keyring] $security $suite main"
    done >>"$CACHE/apt/sources.list"
    # A release that the mirror no longer has is no reason to do without the others.
    other_apt apt-get -qq update || :
    other_apt apt-cache policy | grep -q 'release ' || return 1
    touch "$CACHE/apt/ready"
}

# unpack PACKAGE[=VERSION] FOLDER: fetch one package, without what it depends on, and unpack it.
unpack() {
    local work status=0
    work=$(mktemp -d)
    (cd "$work" && other_apt apt-get -qq download "$1" && dpkg -x ./*.deb unpacked) || status=1
    if [ "$status" = 0 ]; then
        rm -rf "$2"
        mkdir -p "$(dirname "$2")"
        mv "$work/unpacked" "$2"
    fi
    rm -rf "$work"
    return "$status"
}

# std_sources: print the folder with the library sources of exactly this rustc: the toolchain's own
# (component rust-src) or the package of the same version. False if neither can be had.
std_sources() {
    local release own folder version
    release=$(rustc -vV | sed -n 's/^release: //p')
    own=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    folder=$CACHE/rust-src-$release
    if [ -e "$own/std/Cargo.toml" ]; then
        echo "$own"
        return 0
    fi
    if [ ! -e "$folder/usr/src/rustc-$release/library/std/Cargo.toml" ]; then
        archive_ready || return 1
        version=$(other_apt apt-cache madison rust-src |
            awk -F'|' -v want="$release+" '{ gsub(/ /, "", $2) } index($2, want) == 1 { print $2; exit }')
        [ -n "$version" ] && unpack "rust-src=$version" "$folder" || return 1
    fi
    echo "$folder/usr/src/rustc-$release/library"
}

# std_flags TARGET: print the rustc flags under which TARGET's standard library is found, building
# it once if the toolchain has none. False if its sources cannot be had.
std_flags() {
    local target=$1 sources out work status=0
    if compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*.rlib" >/dev/null; then
        return 0
    fi
    out=$CACHE/std-$(rustc -vV | sed -n 's/^release: //p')-$target
    if [ ! -e "$out/complete" ]; then
        sources=$(std_sources) || return 1
        work=$(mktemp -d)
        mkdir -p "$work/src"
        : >"$work/src/lib.rs"
        printf '[package]\nname = "build-std"\nedition = "2024"\n[workspace]\n' >"$work/Cargo.toml"
        # RUSTC_BOOTSTRAP is for this one build: with the result, stable cargo needs no unstable flag.
        (
            cd "$work"
            unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
            RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$sources CARGO_TARGET_DIR=$work/target \
                cargo build -q --release --target "$target" \
                -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test
        ) >&2 || status=2
        if [ "$status" = 0 ]; then
            rm -rf "$out"
            mkdir -p "$out/lib/rustlib/$target/lib"
            find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libbuild_std*' \
                -exec cp {} "$out/lib/rustlib/$target/lib/" \;
            touch "$out/complete"
        fi
        rm -rf "$work"
        [ "$status" = 0 ] || return "$status"
    fi
    echo "--sysroot=$out"
}

# use_std TARGET: have cargo find TARGET's standard library. Skips the check if it cannot be had.
use_std() {
    local flags status=0 name
    flags=$(std_flags "$1") || status=$?
    case $status in
    0) ;;
    1) skip "no standard library for $1 and no sources of it for $(rustc --version)" ;;
    *) fail "the standard library for $1 does not build" ;;
    esac
    name=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$1")_RUSTFLAGS
    export "$name=${!name:-} $flags"
}
