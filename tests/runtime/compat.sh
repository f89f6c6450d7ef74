#!/bin/sh
# Runs tests/runtime with one build of the library on several versions of onnxruntime.
#
#   tests/runtime/compat.sh [version ...]
#
# The library is NMTOOL_OPS_LIBRARY, or else what `cmake` builds here from runtime/. Each version has its virtual
# environment in .compat/, kept between runs.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}

if [ -z "${NMTOOL_OPS_LIBRARY:-}" ]; then
  cmake -S runtime -B .compat/build >.compat.log 2>&1 && cmake --build .compat/build --parallel >>.compat.log 2>&1 ||
    { cat .compat.log; exit 1; }
  rm .compat.log
  NMTOOL_OPS_LIBRARY=$PWD/.compat/build/libnmtool_ops.so
fi
export NMTOOL_OPS_LIBRARY

failed=
for version in ${*:-1.17.3 1.19.2 1.22.1 newest}; do
  case $version in
    newest) packages="onnxruntime numpy" ;;
    1.1[0-9].*) packages="onnxruntime==$version numpy<2" ;; # built against numpy 1
    *) packages="onnxruntime==$version numpy" ;;
  esac
  environment=.compat/$version
  [ -d "$environment" ] || "$python" -m venv "$environment"
  # shellcheck disable=SC2086 # the list of packages is meant to split
  "$environment/bin/pip" install --quiet $packages "onnx>=1.16" ml_dtypes pytest
  echo "onnxruntime $version:"
  # nmtool itself is imported from the checkout; it is the library that is on test.
  PYTHONPATH=$PWD "$environment/bin/pytest" --quiet -p no:cacheprovider tests/runtime --ignore tests/runtime/test_cpp.py || failed="$failed $version"
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
