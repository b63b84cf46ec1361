// Pack and unpack. Each is the adjoint of the other: pack_backward is unpack with zeros at the padding.
// SPDX-License-Identifier: Apache-2.0
#include "capi/check.h"

using namespace varlstm;

namespace {

struct Transfer {
  const varlstm_batch* batch;
  int32_t dtype;
  int32_t layout;
  int64_t padded_len;
  int64_t features;
  void* stream;
};

enum class Direction { kPack, kUnpack };

int32_t check_padded_len(const Transfer& t) {
  if (t.layout == VARLSTM_LAYOUT_RAGGED) return VARLSTM_OK;
  const BatchPlan& plan = t.batch->plan;
  const bool known = plan.steps >= 0;
  const int64_t steps = known ? plan.steps : plan.bounds.max_len;
  if (t.padded_len >= steps) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "padded_len = %lld is smaller than the %s = %lld",
                   static_cast<long long>(t.padded_len),
                   known ? "longest length" : "batch's max_len, and only the device knows the lengths",
                   static_cast<long long>(steps));
}

int32_t check_transfer(const Transfer& t, bool allow_i64, PackArgs* args) {
  VARLSTM_TRY(check_usable("batch", t.batch, t.stream));
  VARLSTM_TRY(check_dtype("dtype", t.dtype, allow_i64));
  VARLSTM_TRY(check_enum("layout", "varlstm_layout", t.layout, VARLSTM_LAYOUT_RAGGED));
  VARLSTM_TRY(check_at_least("features", t.features, 1));
  VARLSTM_TRY(check_padded_len(t));
  *args =
      PackArgs{static_cast<DType>(t.dtype), static_cast<Layout>(t.layout), t.padded_len, t.features, &t.batch->plan};
  return VARLSTM_OK;
}

struct Operand {
  const char* name;
  const void* data;
};

int32_t check_operands(const PackArgs& args, Direction direction, Operand in_layout, Operand packed) {
  const BatchPlan& plan = *args.batch;
  const bool packs = direction == Direction::kPack;
  BufferCheck buffers(element_size(args.dtype));
  const auto add = [&](bool written, const Operand& operand, std::initializer_list<Dim> dims) {
    if (written) {
      buffers.write(operand.name, operand.data, dims);
    } else {
      buffers.read(operand.name, operand.data, dims);
    }
  };
  if (args.layout == Layout::kRagged) {
    add(!packs, in_layout, {{"tokens", packed_rows(plan)}, {"features", args.features}});
  } else {
    add(!packs, in_layout, {{"batch", plan.batch}, {"padded_len", args.padded_len}, {"features", args.features}});
  }
  add(packs, packed, {{"tokens", packed_rows(plan)}, {"features", args.features}});
  return buffers.finish();
}

int32_t run_pack(const Transfer& t, bool allow_i64, Operand src, const char* packed_name, void* packed) {
  PackArgs args;
  VARLSTM_TRY(check_transfer(t, allow_i64, &args));
  VARLSTM_TRY(check_operands(args, Direction::kPack, src, {packed_name, packed}));
  return call_backend(t.batch->ctx, "pack", &Backend::pack, args, src.data, packed, t.stream);
}

int32_t check_pad_value(int32_t dtype, double pad_value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (dtype != VARLSTM_DTYPE_I64 || (pad_value >= -kTwoTo63 && pad_value < kTwoTo63)) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "pad_value = %g does not fit in an int64", pad_value);
}

int32_t run_unpack(const Transfer& t, bool allow_i64, double pad_value, Operand packed, const char* dst_name,
                   void* dst) {
  PackArgs args;
  VARLSTM_TRY(check_transfer(t, allow_i64, &args));
  VARLSTM_TRY(check_pad_value(t.dtype, pad_value));
  VARLSTM_TRY(check_operands(args, Direction::kUnpack, {dst_name, dst}, packed));
  return call_backend(t.batch->ctx, "unpack", &Backend::unpack, args, pad_value, packed.data, dst, t.stream);
}

}  // namespace

int32_t varlstm_pack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len, int64_t features,
                     const void* src, void* packed, void* stream) {
  return run_pack({batch, dtype, layout, padded_len, features, stream}, true, {"src", src}, "packed", packed);
}

int32_t varlstm_unpack(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len, int64_t features,
                       double pad_value, const void* packed, void* dst, void* stream) {
  return run_unpack({batch, dtype, layout, padded_len, features, stream}, true, pad_value, {"packed", packed}, "dst",
                    dst);
}

int32_t varlstm_pack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                              int64_t features, const void* dpacked, void* dsrc, void* stream) {
  return run_unpack({batch, dtype, layout, padded_len, features, stream}, false, 0.0, {"dpacked", dpacked}, "dsrc",
                    dsrc);
}

int32_t varlstm_unpack_backward(const varlstm_batch* batch, int32_t dtype, int32_t layout, int64_t padded_len,
                                int64_t features, const void* ddst, void* dpacked, void* stream) {
  return run_pack({batch, dtype, layout, padded_len, features, stream}, false, {"ddst", ddst}, "dpacked", dpacked);
}
