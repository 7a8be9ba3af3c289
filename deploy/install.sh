#!/bin/sh
# Installs the workers on this machine, upgrades them, or takes them away:
#   sudo make install        sudo make install RESTART=1        sudo make uninstall
#
# An installation is a folder of its own under PREFIX/releases. The link PREFIX/current is moved to
# it when it is complete and has been started once, so an upgrade that fails changes nothing, and a
# worker goes on with the release that it was started from until it is restarted.
#
# PREFIX      code                     /opt/toast-workers
# SYSCONFDIR  settings, in toast/      /etc
# BINDIR      the command toast        /usr/local/bin; its manual and completion in ../share
# ZSHDIR      its completion in zsh    /usr/local/share/zsh/site-functions
# UNITDIR     units of systemd         /usr/local/lib/systemd/system
# STATEDIR    supervisord's socket     /var/lib/toast
# LOGDIR      supervisord's logs       /var/log/toast
# DESTDIR     a folder to install into instead of /, for making a package; needs no root. The
#             user and the owners of files then come from sysusers.d and tmpfiles.d, beside UNITDIR
# PYTHON      the interpreter, 3.11 or later
# WEB         0: without the libraries of the page, `toast web`
# RESTART     1: restart the running workers after an upgrade
set -eu
umask 022

source=$(cd "$(dirname "$0")/.." && pwd)
prefix=${PREFIX:-/opt/toast-workers}
sysconfdir=${SYSCONFDIR:-/etc}
bindir=${BINDIR:-/usr/local/bin}
unitdir=${UNITDIR:-/usr/local/lib/systemd/system}
statedir=${STATEDIR:-/var/lib/toast}
logdir=${LOGDIR:-/var/log/toast}
destdir=${DESTDIR:-}
python=${PYTHON:-python3}
confdir=$sysconfdir/toast
datadir=${bindir%/bin}/share
zshdir=${ZSHDIR:-$datadir/zsh/site-functions}
# /usr/local/lib, or /usr/lib in most packages.
libdir=$destdir${unitdir%/systemd/system}
user=toast
trial=/run/systemd/system/toast-smoke-test.service
# The one in use, the one before it to go back to, and one more.
releases_kept=3

fail() {
    echo "toast-workers: $*" >&2
    exit 1
}

# Whether this is the machine itself, and systemd its first process.
has_systemd() {
    [ -z "$destdir" ] && [ -d /run/systemd/system ]
}

require_root() {
    [ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || fail "needs root: sudo make $1"
}

require_python() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "needs Python 3.11 or newer as '$python': make install PYTHON=/path/to/python3"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "needs Python's venv module (on Debian: apt install python3-venv)"
    # The interpreter behind all links, shims and environments: a release links to it.
    python=$("$python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
    advice="on Debian, apt install python3 python3-venv && make install PYTHON=/usr/bin/python3"
    require_visible "$python" "$advice"
    [ -n "$destdir" ] || runuser -u nobody -- "$python" -I -c '' 2>/dev/null ||
        fail "other users than root cannot run $python: $advice"
}

# A worker cannot see these folders: ProtectHome= and PrivateTmp= of its unit.
require_visible() { # PATH ADVICE
    case $(realpath -m "$1") in
        /root/* | /home/* | /run/user/* | /tmp/* | /var/tmp/*)
            fail "workers cannot see $1 (ProtectHome=, PrivateTmp=): $2" ;;
    esac
}

# --- install ----------------------------------------------------------------------------------

create_user() {
    if [ -z "$destdir" ]; then
        getent passwd "$user" >/dev/null ||
            useradd --system --user-group --no-create-home --home-dir "$statedir" \
                --shell /usr/sbin/nologin "$user"
        return
    fi
    # A package declares what its machine shall have.
    mkdir -p "$libdir/sysusers.d" "$libdir/tmpfiles.d"
    echo "u $user - - $statedir /usr/sbin/nologin" > "$libdir/sysusers.d/toast-workers.conf"
    cat > "$libdir/tmpfiles.d/toast-workers.conf" << END
d $statedir 0750 $user $user
d $logdir 0750 $user $user
z $confdir 0750 root $user
z $confdir/*.env 0640 root $user
END
}

# own MODE OWNER PATH: the mode always, the owner where the user exists.
own() {
    chmod "$1" "$3"
    [ -n "$destdir" ] || chown "$2" "$3"
}

build_wheel() {
    # From a copy: a build in the checkout would leave root's files there.
    mkdir "$work/source"
    cp -R "$source/setup.cfg" "$source/pyproject.toml" "$source/README.md" \
        "$source/common" "$source/workers" "$source/web" "$work/source"
    "$python" -m venv "$work/build"
    pip install --require-hashes --only-binary :all: --requirement "$source/deploy/build.lock"
    pip wheel --no-build-isolation --no-deps --no-index --wheel-dir "$work/wheel" "$work/source"
}

pip() {
    "$work/build/bin/pip" --quiet --disable-pip-version-check --no-input "$@"
}

# A virtual environment without pip: nothing is ever installed into a release again.
make_release() {
    version=$(basename "$work"/wheel/*.whl | cut -d- -f2)
    name=$version-$(date -u +%Y%m%dT%H%M%SZ)
    release=$destdir$prefix/releases/$name
    mkdir -p "$destdir$prefix/releases"
    unfinished=$release
    "$python" -m venv --without-pip "$release"
    lock=requirements-web.lock
    [ "${WEB:-1}" != 0 ] || lock=requirements.lock
    for each in "--require-hashes --only-binary :all: --requirement $source/$lock" \
        "--no-deps --no-index $(echo "$work"/wheel/*.whl)"; do
        # shellcheck disable=SC2086  # options, and paths that are ours
        pip --python "$release/bin/python" install --root-user-action ignore $each
    done
    if [ -n "$destdir" ]; then
        # It will be run without DESTDIR in front.
        grep -rlIF "$destdir$prefix" "$release/bin" "$release/pyvenv.cfg" |
            xargs -r sed -i "s|$destdir$prefix|$prefix|g"
    fi
    mkdir -p "$release/etc" "$release/share"
    cp "$source"/deploy/share/* "$release/share"
    sed -f "$source/deploy/supervisord.sed" "$source/supervisord.conf" |
        sed -e "s|@PREFIX@|$prefix|g" -e "s|@STATEDIR@|$statedir|g" -e "s|@LOGDIR@|$logdir|g" \
            -e "s|@CONFDIR@|$confdir|g" > "$release/etc/supervisord.conf"
}

# Sets `earlier` to the release that was in use, if there was one.
switch_to_release() {
    earlier=$(readlink "$destdir$prefix/current" || true)
    ln -sfn "releases/$name" "$destdir$prefix/current.new"
    mv -T "$destdir$prefix/current.new" "$destdir$prefix/current"
    unfinished=
}

# The examples, every line a comment; a file that is there is never touched.
write_settings() {
    mkdir -p "$destdir$confdir" "$work/settings"
    own 0750 "root:$user" "$destdir$confdir"
    # -P: not the checkout in the working directory.
    "$release/bin/python" -P -m workers settings --example > "$work/example"
    awk -v folder="$work/settings" '
        sub(/^# --- /, "") && sub(/ ---$/, "") {
            path = folder "/" ($0 == "every worker" ? "toast" : substr($0, 7)) ".env"
            $0 = "# Settings of " $0 ". A setting that is commented out has the value shown."
        }
        path { print > path }' "$work/example"
    for example in "$work"/settings/*; do
        path=$destdir$confdir/${example##*/}
        [ -e "$path" ] && continue
        cp "$example" "$path"
        own 0640 "root:$user" "$path"
    done
}

make_units() {
    cp -R --no-preserve=mode "$source/systemd" "$work/units"
    if has_systemd && [ "$(systemctl --version | awk 'NR == 1 { print int($2) }')" -ge 254 ]; then
        cp "$work/units/examples/backoff.conf" "$work/units/toast-.service.d"
    fi
    rm -r "$work/units/examples"
    find "$work/units" -type f -exec \
        sed -i -e "s|/opt/toast-workers|$prefix|g" -e "s|/etc/toast|$confdir|g" {} +
}

# Starts the new release as the units will, before anything of the earlier one is replaced.
smoke_test() {
    has_systemd || return 0
    # Named like a worker, so that the drop-ins of this machine count as well.
    cat > "$trial" << END
[Service]
Type=oneshot
ExecStart=$prefix/releases/$name/bin/toast list
User=$user
Group=$user
StandardOutput=null
StandardError=journal
END
    mkdir -p "$trial.d"
    cp "$work"/units/toast-.service.d/* "$trial.d"
    printf '[Service]\nRestart=no\n' > "$trial.d/zz-smoke-test.conf"
    systemctl daemon-reload
    if ! systemctl start toast-smoke-test; then
        systemctl status --no-pager --full --lines 20 toast-smoke-test >&2 || true
        fail "$name does not start as a worker (above; journalctl -u toast-smoke-test has more)." \
            "It is removed, and nothing that was in use has changed."
    fi
}

# What units share comes first: no unit is ever there without it.
write_units() {
    mkdir -p "$destdir$unitdir"
    cp -R "$work"/units/toast-*.service.d "$work"/units/toast.target "$work"/units/toast-*.service \
        "$destdir$unitdir"
    gone=
    for path in $(unit_files); do
        [ -e "$work/units/$path" ] || gone="$gone $path"
    done
    # shellcheck disable=SC2086  # names of files
    remove_units $gone
}

# The files of units that this release or any other has put there: all have one of these in them.
unit_files() {
    (cd "$destdir$unitdir" 2>/dev/null &&
        grep -lsE '^Description=toast-workers|not of toast-workers|`make install`' \
            toast.target toast-*.service toast-*.service.d/*.conf) || true
}

# Ends the units in these files and removes the files; systemd then reads all units anew.
remove_units() { # PATH...
    if has_systemd; then
        # shellcheck disable=SC2046  # names of units
        systemctl disable --quiet --now $(printf '%s\n' "$@" | grep -v /) 2>/dev/null || true
    fi
    (cd "$destdir$unitdir" 2>/dev/null && rm -f "$@" && rmdir toast-.service.d toast-web.service.d 2>/dev/null) || true
    if has_systemd; then systemctl daemon-reload; fi
}

write_folders() {
    for folder in "$statedir" "$logdir"; do
        mkdir -p "$destdir$folder"
        own 0750 "$user:$user" "$destdir$folder"
    done
}

# The links into the release in use, and where each leads to below `current`. Only a folder of /etc is
# searched by every fish.
links() {
    cat << END
$bindir/toast bin/toast
$datadir/man/man1/toast.1 share/toast.1
$datadir/bash-completion/completions/toast share/toast.bash
$zshdir/_toast share/toast.zsh
$sysconfdir/fish/completions/toast.fish share/toast.fish
END
}

links_of_supervisord() {
    cat << END
$bindir/supervisord bin/supervisord
$bindir/supervisorctl bin/supervisorctl
$sysconfdir/supervisord.conf etc/supervisord.conf
END
}

write_links() {
    links | while read -r path target; do
        mkdir -p "$destdir${path%/*}"
        ln -sfn "$prefix/current/$target" "$destdir$path"
    done
    # `supervisorctl status` is ours only where no other supervisord is installed.
    [ -e "$sysconfdir/supervisor" ] && return
    links_of_supervisord | while read -r path target; do
        [ -e "$destdir$path" ] || ln -sfn "$prefix/current/$target" "$destdir$path"
    done
}

# Old releases, but none that a process still runs from.
remove_old_releases() {
    # shellcheck disable=SC2012  # names are ours: a version and a time
    ls -1t "$destdir$prefix/releases" | tail -n "+$((releases_kept + 1))" |
        while read -r old; do
            if ! grep -qsF "$prefix/releases/$old/" /proc/[0-9]*/maps; then
                rm -rf "$destdir$prefix/releases/$old"
            fi
        done
}

# The units that are active but were started from another release.
outdated() {
    has_systemd || return 0
    for unit in $(unit_files | grep 'service$'); do
        pid=$(systemctl show --property MainPID --value "$unit")
        if [ "$pid" -gt 0 ] && ! grep -qF "$prefix/releases/$name/" "/proc/$pid/maps"; then
            echo "$unit"
        fi
    done
}

say_what_is_next() {
    echo "toast-workers $name is installed in $prefix/current."
    [ -z "$destdir" ] || return 0
    old=$(outdated | tr '\n' ' ')
    if [ -n "$old" ] && [ "${RESTART:-0}" = 1 ]; then
        # shellcheck disable=SC2086  # a list of units
        systemctl restart $old
        echo "Restarted: $old"
    elif [ -n "$old" ]; then
        echo "Still running the release before: $old"
        echo "When it suits you: toast migrate && systemctl restart $old"
    elif [ -z "$earlier" ]; then
        echo "Next, as root:"
        echo "  1. $confdir/toast.env: DB_HOST, DB_USER, DB_PASSWORD, KAFKA_BROKERS"
        echo "     $confdir/warcraft.env: BLIZZARD_CLIENT_ID, BLIZZARD_CLIENT_SECRET"
        echo "  2. toast migrate"
        echo "  3. toast once link --dry-run"
        echo "  4. systemctl enable --now toast.target"
        echo "     or, without systemd: supervisord -c $prefix/current/etc/supervisord.conf &"
    fi
    if [ -S "$statedir/supervisor.sock" ]; then
        echo "If supervisord runs the workers: toast migrate && supervisorctl restart all"
    fi
}

clean_up() {
    rm -rf "$work" ${unfinished:+"$unfinished"}
    [ -e "$trial" ] || return 0
    rm -rf "$trial" "$trial.d"
    systemctl reset-failed toast-smoke-test 2>/dev/null || true
    systemctl daemon-reload
}

install_all() {
    require_root install
    require_python
    require_visible "$prefix" "set another PREFIX"
    work=$(mktemp -d)
    unfinished=
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    create_user
    build_wheel
    make_release
    write_settings
    write_folders
    make_units
    smoke_test
    switch_to_release
    write_units
    write_links
    remove_old_releases
    say_what_is_next
}

# --- uninstall --------------------------------------------------------------------------------

uninstall_all() {
    require_root uninstall
    # shellcheck disable=SC2046  # names of files
    remove_units $(unit_files)
    rm -f "$libdir/sysusers.d/toast-workers.conf" "$libdir/tmpfiles.d/toast-workers.conf"
    if [ -z "$destdir" ] && [ -S "$statedir/supervisor.sock" ]; then
        "$prefix/current/bin/supervisorctl" -c "$prefix/current/etc/supervisord.conf" shutdown ||
            true
    fi
    { links; links_of_supervisord; } | while read -r path _; do
        case $(readlink "$destdir$path") in
            "$prefix"/*) rm "$destdir$path" ;;
        esac
    done
    rm -rf "$destdir$prefix/releases" "$destdir$prefix/current"
    rmdir "$destdir$prefix" 2>/dev/null || true
    echo "toast-workers is uninstalled. Left as they are: $confdir, $statedir, $logdir, the user"
    echo "$user, and the tables in PostgreSQL."
}

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) fail "usage: deploy/install.sh install|uninstall" ;;
esac
