#!/bin/sh
# Installs qianzhi from this folder alone; nothing is fetched from anywhere.
#   sh install.sh [FOLDER]        where to; /opt/qianzhi when not given
#   PYTHON=/path/to/python sh install.sh
set -eu
target=${1:-/opt/qianzhi}
python=${PYTHON:-python@PYTHON@}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cd "$(dirname "$0")"

sha256sum --check --strict --quiet SHA256SUMS ||
    { echo "Files are missing or were changed on the way: copy the bundle again." >&2; exit 1; }
command -v "$python" >/dev/null ||
    { echo "Python @PYTHON@ is needed; name it: PYTHON=/path/to/python sh install.sh" >&2; exit 1; }
"$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "@PYTHON@")' ||
    { echo "These wheels are for Python @PYTHON@; name one: PYTHON=/path/to/python sh install.sh" >&2; exit 1; }

"$python" -m venv "$target"
"$target/bin/python" -m pip install --isolated --quiet --disable-pip-version-check --no-index --find-links wheels \
    --require-hashes --requirement requirements.txt
"$target/bin/qianzhi" --version
echo "Installed. Go on with: $target/bin/qianzhi gateway init"
