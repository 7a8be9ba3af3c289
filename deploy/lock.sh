#!/bin/sh
# Writes the two lists of exact versions and hashes that an installation on a VM uses:
# requirements.lock (what runs) and deploy/build.lock (what builds the wheel). And the exact
# versions that `make venv` installs: constraints.txt. `make lock`.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
# The oldest Python that is supported needs the most packages; later ones ignore what they lack.
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    { echo "make lock needs Python 3.11: make lock PYTHON=/path/to/python3.11" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir --parents "$work/source/common"
cp setup.cfg pyproject.toml README.md "$work/source"
cp common/version.py "$work/source/common" # setup.cfg reads the version from it
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pip-tools>=7.4,<8'

lock() { # lock FILE PURPOSE OPTION...
    file=$1 purpose=$2
    shift 2
    (
        cd "$work/source"
        # Nothing of where packages came from on this machine: only names, versions and hashes.
        "$work/venv/bin/pip-compile" --quiet --allow-unsafe --strip-extras \
            --no-header --no-annotate --no-emit-index-url --no-emit-trusted-host \
            --no-emit-find-links --output-file "$work/lock" "$@" pyproject.toml
    )
    { printf '# %s Written by make lock; do not edit.\n' "$purpose"; sed "/^# The following/d; /^$/d" "$work/lock"; } > "$file"
    rm "$work/lock"
}

# First, because the development tools narrow more: what is tested is what runs on a VM.
lock constraints.txt "What make venv installs, for Python 3.11 and later." --extra dev --extra web
lock requirements.lock "What the workers need, for Python 3.11 and later." \
    --generate-hashes --constraint "$PWD/constraints.txt"
lock requirements-web.lock "What the workers and the page need, for Python 3.11 and later." \
    --generate-hashes --constraint "$PWD/constraints.txt" --extra web
lock deploy/build.lock "What builds the wheel." \
    --generate-hashes --build-deps-for wheel --only-build-deps
