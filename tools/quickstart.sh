#!/bin/sh
# Builds libvarlstm and varlstm-tagger, trains on generated and on real text, evaluates, and tags a sentence.
# As root it installs the Debian packages it needs; otherwise it says which are missing and ends with status 2.
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -eq 0 ] || { echo "usage: quickstart.sh, without arguments, not: $*" >&2; exit 2; }
cd "$(dirname "$0")/.."
. tools/packages.sh
# shellcheck disable=SC2086  # one word a package
need_packages $BUILD_PACKAGES

step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

step "Building (preset host: no CUDA needed)"
cmake --preset host -DVARLSTM_BUILD_TESTS=OFF -DVARLSTM_BUILD_BENCH=OFF
cmake --build --preset host

tagger=build/bin/varlstm-tagger
data=tools/tagger/data
model=build/quickstart-model

step "The demo: the tutorial's network on three sentences, and an LSTM on the embedded Reber grammar"
show $tagger demo

step "Training a part-of-speech tagger on the sentences that come along"
rm -rf $model
show $tagger train --train $data/train.conllu --dev $data/dev.conllu --out $model

step "Evaluating it"
show $tagger eval --model $model $data/dev.conllu

step "Tagging a sentence"
sentence=build/quickstart-sentence.conllu
number=0
for word in The farmer walked across the bridge .; do
  number=$((number + 1))
  printf '%d\t%s\t_\t_\t_\t_\t_\t_\t_\t_\n' $number $word
done >$sentence
echo >>$sentence
show $tagger predict --model $model $sentence

step "Done: the library is build/lib/libvarlstm.so, the tagger $tagger; run the tests with: sh tools/test.sh"
