// A back end that computes nothing, linked in place of the host's and of CUDA's.
// SPDX-License-Identifier: Apache-2.0
#include "support/fake_backend.h"

#include <cstring>
#include <new>
#include <stdexcept>

namespace varlstm_test {

FakeBackend& fake_backend() {
  static FakeBackend fake;
  return fake;
}

namespace {

using namespace varlstm;

constexpr std::align_val_t kAlignment{256};

struct FakeState : BackendState {
  int64_t threads = 0;
  int64_t batch_invariant = 1;
  int64_t math = 0;

  int64_t& option(int32_t key) {
    return key == VARLSTM_KEY_THREADS ? threads : key == VARLSTM_KEY_MATH ? math : batch_invariant;
  }
};

FakeState* fake_state(BackendState* state) {
  return static_cast<FakeState*>(state);
}

// What a function of the table returns, before it does anything.
int32_t answer(const char* name) {
  FakeBackend& fake = fake_backend();
  if (fake.fail_in != name) return VARLSTM_OK;
  fake.fail_in.clear();
  if (fake.fail_with == FakeBackend::kThrowBadAlloc) throw std::bad_alloc();
  if (fake.fail_with == FakeBackend::kThrowOther) throw std::runtime_error("a defect");
  return fake.fail_with;
}

int32_t work(const char* name) {
  ++fake_backend().calls;
  fake_backend().last_call = name;
  return answer(name);
}

void fill_lifetime(Backend& table) {
  table.device_count = [](int32_t* count) {
    *count = fake_backend().devices;
    return answer("device_count");
  };
  table.open = [](int32_t, BackendState** state) {
    const int32_t status = work("open");
    if (status != VARLSTM_OK) return status;
    *state = new FakeState;
    ++fake_backend().live;
    return status;
  };
  table.close = [](BackendState* state) {
    delete fake_state(state);
    --fake_backend().live;
  };
  table.set_i64 = [](BackendState* state, int32_t key, int64_t value) {
    fake_state(state)->option(key) = value;
    return work("set_i64");
  };
  table.get_i64 = [](const BackendState* state, int32_t key, int64_t* value) {
    *value = fake_state(const_cast<BackendState*>(state))->option(key);  // only read
    return work("get_i64");
  };
  table.device_status = [](BackendState*, bool, int64_t* bits, int64_t* first_index, void*) {
    *bits = VARLSTM_DEVICE_STATUS_TOKEN_ID;
    *first_index = 5;
    return work("device_status");
  };
}

void fill_memory(Backend& table) {
  table.alloc = [](BackendState*, int64_t bytes, void** ptr) {
    const int32_t status = work("alloc");
    if (status != VARLSTM_OK) return status;
    *ptr = operator new(static_cast<size_t>(bytes), kAlignment);
    ++fake_backend().live;
    return status;
  };
  table.free = [](BackendState*, void* ptr) {
    operator delete(ptr, kAlignment);
    --fake_backend().live;
    return work("free");
  };
  table.copy = [](BackendState*, void* dst, const void* src, int64_t bytes, int32_t, void*) {
    std::memcpy(dst, src, static_cast<size_t>(bytes));
    return work("copy");
  };
  table.zero = [](BackendState*, void* ptr, int64_t bytes, void*) {
    std::memset(ptr, 0, static_cast<size_t>(bytes));
    return work("zero");
  };
  table.sync = [](BackendState*, void*) { return work("sync"); };
}

// Lengths in the back end's memory stay unknown to the host, as on a device. One array stands for all.
void fill_plans(Backend& table) {
  table.plan_create = [](BackendState*, BatchPlan* plan) {
    ++fake_backend().live;
    plan->lengths = new int64_t[static_cast<size_t>(plan->bounds.max_batch) + 1]();
    return work("plan_create");
  };
  table.plan_destroy = [](BackendState*, BatchPlan* plan) {
    if (plan->lengths != nullptr) --fake_backend().live;
    delete[] plan->lengths;
    plan->lengths = nullptr;
  };
  table.plan_lengths = [](BackendState*, BatchPlan* plan, const int64_t* lengths, int64_t count, int32_t space, void*) {
    plan->batch = count;
    plan->tokens = plan->steps = space == VARLSTM_SPACE_HOST ? 0 : -1;
    for (int64_t b = 0; space == VARLSTM_SPACE_HOST && b < count; ++b) {
      plan->lengths[b] = lengths[b];
      plan->tokens += lengths[b];
      plan->steps = lengths[b] > plan->steps ? lengths[b] : plan->steps;
    }
    return work("plan_lengths");
  };
  table.plan_batch_sizes = [](BackendState*, BatchPlan* plan, const int64_t* batch_sizes, int64_t steps, const int64_t*,
                              void*) {
    plan->batch = steps > 0 ? batch_sizes[0] : 0;
    plan->steps = steps;
    plan->tokens = 0;
    for (int64_t t = 0; t < steps; ++t) plan->tokens += batch_sizes[t];
    return work("plan_batch_sizes");
  };
  table.plan_resets = [](BackendState*, BatchPlan*, const ResetArgs&, void*) { return work("plan_resets"); };
  table.pack = [](BackendState*, const PackArgs& args, const void*, void*, void*) {
    fake_backend().pack = args;
    return work("pack");
  };
  table.unpack = [](BackendState*, const PackArgs& args, double pad_value, const void*, void*, void*) {
    fake_backend().pack = args;
    fake_backend().pad_value = pad_value;
    return work("unpack");
  };
}

void fill_rnn(Backend& table) {
  table.rnn_plan = [](const BackendState*, const RnnShape&, RnnPlan* plan) {
    ++fake_backend().plans;
    plan->infer = RnnSizes{640, 0};
    plan->save = RnnSizes{640, 1280};
    return answer("rnn_plan");
  };
  table.rnn_import = [](BackendState*, const RnnImportArgs& args, void*) {
    fake_backend().rnn_import = args;
    return work("rnn_import");
  };
  table.rnn_forward = [](BackendState*, const RnnForwardArgs& args, void*) {
    fake_backend().rnn_forward = args;
    return work("rnn_forward");
  };
  table.rnn_backward = [](BackendState*, const RnnBackwardArgs& args, void*) {
    fake_backend().rnn_backward = args;
    return work("rnn_backward");
  };
  table.rnn_prepared_size = [](const BackendState*, const RnnShape&, bool, int64_t* bytes) {
    *bytes = 192;
    return answer("rnn_prepared_size");
  };
  table.rnn_prepare = [](BackendState*, const RnnShape&, const void*, const PreparedRnn&, void*) {
    return work("rnn_prepare");
  };
  table.rnn_forward_prepared = [](BackendState*, const RnnForwardArgs&, const PreparedRnn&, void*) {
    return work("rnn_forward_prepared");
  };
  table.rnn_backward_prepared = [](BackendState*, const RnnBackwardArgs&, const PreparedRnn&, void*) {
    return work("rnn_backward_prepared");
  };
  table.rnn_step_prepared = [](BackendState*, const RnnStepArgs&, const PreparedRnn&, int64_t* bad_stream, void*) {
    *bad_stream = -1;
    return work("rnn_step_prepared");
  };
  table.rnn_step_size = [](const BackendState*, const RnnShape&, int64_t, int64_t, int64_t* bytes) {
    *bytes = 640;
    return answer("rnn_step_size");
  };
  table.rnn_step = [](BackendState*, const RnnStepArgs& args, int64_t* bad_stream, void*) {
    fake_backend().rnn_step = args;
    *bad_stream = fake_backend().bad_stream;
    return work("rnn_step");
  };
}

void fill_operations(Backend& table) {
  table.op_workspace = [](const BackendState*, Op, DType, int64_t, int64_t, int64_t, int64_t* bytes) {
    *bytes = 192;
    return answer("op_workspace");
  };
  table.embedding_forward = [](BackendState*, const EmbeddingArgs& args, const void*, void*, void*) {
    fake_backend().embedding = args;
    return work("embedding_forward");
  };
  table.embedding_backward = [](BackendState*, const EmbeddingArgs& args, int64_t padding_idx, const void*, void*,
                                void*, int64_t, void*) {
    fake_backend().embedding = args;
    fake_backend().padding_idx = padding_idx;
    return work("embedding_backward");
  };
  table.linear_forward = [](BackendState*, const LinearArgs& args, const void*, const void*, const void*, void*,
                            void*) {
    fake_backend().linear = args;
    return work("linear_forward");
  };
  table.linear_backward = [](BackendState*, const LinearArgs& args, const void*, const void*, const void*, void*, void*,
                             void*, void*) {
    fake_backend().linear = args;
    return work("linear_backward");
  };
  table.conv_max_size = [](const BackendState*, const ConvMaxShape&, int64_t* forward, int64_t* backward) {
    *forward = 192;
    *backward = 256;
    return answer("conv_max_size");
  };
  table.conv_max_forward = [](BackendState*, const ConvMaxForwardArgs& args, int64_t* bad_offset, void*) {
    fake_backend().conv_max_forward = args;
    *bad_offset = fake_backend().bad_offset;
    return work("conv_max_forward");
  };
  table.conv_max_backward = [](BackendState*, const ConvMaxBackwardArgs& args, int64_t* bad_offset, void*) {
    fake_backend().conv_max_backward = args;
    *bad_offset = fake_backend().bad_offset;
    return work("conv_max_backward");
  };
  table.convert = [](BackendState*, DType, DType, int64_t, const void*, void*, void*) { return work("convert"); };
  table.copy_columns = [](BackendState*, const ColumnCopy&, void*) { return work("copy_columns"); };
  table.dropout = [](BackendState*, DType, int64_t, double, uint64_t, const void*, void*, void*) {
    return work("dropout");
  };
  table.log_softmax_forward = [](BackendState*, DType, int64_t, int64_t, const void*, void*, void*) {
    return work("log_softmax_forward");
  };
  table.log_softmax_backward = [](BackendState*, DType, int64_t, int64_t, const void*, const void*, void*, void*) {
    return work("log_softmax_backward");
  };
}

void fill_losses(Backend& table) {
  table.nll_forward = [](BackendState*, const LossArgs& args, const void*, void*, void*, void*) {
    fake_backend().loss = args;
    return work("nll_forward");
  };
  table.nll_backward = [](BackendState*, const LossArgs& args, const void*, void*, void*) {
    fake_backend().loss = args;
    return work("nll_backward");
  };
  table.cross_entropy_forward = [](BackendState*, const LossArgs& args, const void*, void*, void*, void*, void*) {
    fake_backend().loss = args;
    return work("cross_entropy_forward");
  };
  table.cross_entropy_backward = [](BackendState*, const LossArgs& args, const void*, void*, void*) {
    fake_backend().loss = args;
    return work("cross_entropy_backward");
  };
  table.linear_cross_entropy_forward = [](BackendState*, const LinearLossArgs& args, void*, void*, void*, void*) {
    fake_backend().linear_loss = args;
    return work("linear_cross_entropy_forward");
  };
  table.linear_cross_entropy_backward = [](BackendState*, const LinearLossArgs& args, const void*, const void*, void*,
                                           void*, void*, void*) {
    fake_backend().linear_loss = args;
    return work("linear_cross_entropy_backward");
  };
  table.sgd_step = [](BackendState*, const SgdArgs& args, void*, const void*, void*, void*) {
    fake_backend().sgd = args;
    return work("sgd_step");
  };
  table.adam_step = [](BackendState*, const AdamArgs& args, void*, const void*, void*, void*, int64_t*, void*) {
    fake_backend().adam = args;
    return work("adam_step");
  };
  table.grad_norm = [](BackendState*, DType, int64_t, double max_norm, void*, double*, void*, int64_t, void*) {
    fake_backend().max_norm = max_norm;
    return work("grad_norm");
  };
  table.embedding_backward_rows = [](BackendState*, const EmbeddingArgs& args, int64_t padding_idx, const void*,
                                     int64_t*, void*, void*, int64_t, void*) {
    fake_backend().embedding = args;
    fake_backend().padding_idx = padding_idx;
    return work("embedding_backward_rows");
  };
  table.sgd_rows_step = [](BackendState*, const SgdRowsArgs& args, const void*, void*) {
    fake_backend().sgd_rows = args;
    return work("sgd_rows_step");
  };
  table.adam_rows_step = [](BackendState*, const AdamRowsArgs& args, const void*, int64_t*, void*) {
    fake_backend().adam_rows = args;
    return work("adam_rows_step");
  };
  table.adam_rows_catch_up = [](BackendState*, const AdamRowsArgs& args, int64_t*, void*) {
    fake_backend().adam_rows = args;
    return work("adam_rows_catch_up");
  };
}

Backend make_table() {
  Backend table = {};
  table.name = "fake";
  fill_lifetime(table);
  fill_memory(table);
  fill_plans(table);
  fill_rnn(table);
  fill_operations(table);
  fill_losses(table);
  return table;
}

const Backend kTable = make_table();

}  // namespace
}  // namespace varlstm_test

const varlstm::Backend* varlstm::host_backend() {
  return &varlstm_test::kTable;
}
const varlstm::Backend* varlstm::cuda_backend() {
  return &varlstm_test::kTable;
}
