// The options of a cell as the kernels of a layer take them. It has no device code, so that plain C++ may include it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

#include <limits>

#include "capi/contract/shapes.h"
#include "kernels/recurrence/rnn_layout.h"

namespace varlstm::cuda {

// A kind of mask of varlstm.h whose elements kernels of the recurrence draw.
enum class MaskKind : uint32_t { kState = 2, kCandidate = 3, kZoneoutH = 4, kZoneoutC = 5 };

// One layer's options, for both directions. C is the type that the dtype is computed in. Words of Philox below
// <kind>_words draw their element; 0 draws none.
template <class C>
struct LayerOptions {
  static constexpr bool kAct = true;
  bool act;  // whether any option acts; else the layer runs without options
  int64_t layer;
  uint64_t seed;                 // of the call; 0: nothing is drawn
  const uint64_t* stored_seed;   // in device memory, in place of `seed`; or null
  C cell_clip, projection_clip;  // infinity: none
  C zoneout_h, zoneout_c;        // p
  bool keeps_c;                  // there is neither a clip nor zoneout of c
  C scale;                       // 1 / (1 - p) of the dropout
  uint64_t state_words, candidate_words, zoneout_h_words, zoneout_c_words;
  C* unclipped[kMaxDirections];  // [N, P] the projected h before its clip and zoneout; or null: not saved
};

// Whether a layer has options that its kernels must know. Dropout of weights is none: weight_mask.cu makes another
// W_hh.
inline bool options_act(const RnnShape& shape) {
  const CellOptions& o = shape.options;
  return o.cell_clip > 0 || o.projection_clip > 0 || o.zoneout_h > 0 || o.zoneout_c > 0 ||
         (o.recurrent_dropout > 0 && o.recurrent_dropout_kind != RecurrentDropout::kWeights);
}

// Without `unclipped`.
template <class C>
LayerOptions<C> layer_options(const RnnShape& shape, int64_t layer, uint64_t seed, const uint64_t* stored_seed) {
  const CellOptions& o = shape.options;
  const auto limit = [](double clip) {
    const bool none = clip == 0 || clip > static_cast<double>(std::numeric_limits<C>::max());
    return none ? std::numeric_limits<C>::infinity() : static_cast<C>(clip);
  };
  const auto words = [](double p) { return static_cast<uint64_t>(ceil(ldexp(p, 32))); };  // with word * 2^-32 < p
  const auto dropped = [&](RecurrentDropout kind) {
    return o.recurrent_dropout_kind == kind ? words(o.recurrent_dropout) : 0;
  };
  LayerOptions<C> r{};
  r.act = options_act(shape);
  r.layer = layer;
  r.seed = seed, r.stored_seed = stored_seed;
  r.cell_clip = limit(o.cell_clip), r.projection_clip = limit(o.projection_clip);
  r.zoneout_h = static_cast<C>(o.zoneout_h), r.zoneout_c = static_cast<C>(o.zoneout_c);
  r.keeps_c = o.cell_clip == 0 && o.zoneout_c == 0;
  r.scale = static_cast<C>(1 / (1 - o.recurrent_dropout));
  r.state_words = dropped(RecurrentDropout::kState);
  r.candidate_words = dropped(RecurrentDropout::kCandidate);
  r.zoneout_h_words = words(o.zoneout_h), r.zoneout_c_words = words(o.zoneout_c);
  return r;
}

}  // namespace varlstm::cuda
