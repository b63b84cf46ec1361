// SPDX-License-Identifier: Apache-2.0
#include "bench/count_recurrence/team.h"

#include <stdexcept>
#include <string>

#include "kernels/core/carve.h"
#include "kernels/core/state.h"
#include "kernels/recurrence/resident/resident.h"
#include "kernels/simt/options.h"

namespace varlstm::count_recurrence {
namespace {

void require(bool holds, const char* call) {
  if (!holds) throw std::runtime_error(std::string(call) + " failed: " + simt::last_report());
}

// Zeros in device memory.
class DeviceZeros {
 public:
  explicit DeviceZeros(int64_t bytes) {
    require(cudaMalloc(&data_, static_cast<size_t>(bytes)) == cudaSuccess, "cudaMalloc");
    require(cudaMemsetAsync(data_, 0, static_cast<size_t>(bytes), nullptr) == cudaSuccess, "cudaMemsetAsync");
  }
  ~DeviceZeros() { cudaFree(data_); }
  DeviceZeros(const DeviceZeros&) = delete;
  DeviceZeros& operator=(const DeviceZeros&) = delete;

  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

// Every array of one layer in one direction: packed row t * slots + slot is token t of that slot's sequence.
template <class T>
class Layer {
 public:
  Layer(const TableRow& row, int64_t steps)
      : row_(row), steps_(steps), slots_(row.tile->slots()), memory_(carve(nullptr)) {
    carve(memory_.get());
    fill_schedule();
  }

  int32_t run(Pass pass) {
    cuda::State state;
    const cuda::Stream stream{&state, nullptr};
    return pass == Pass::kForward
               ? cuda::resident_launcher<cuda::LayerForward<T, float>>(run_.choice)(stream, run_, forward_)
               : cuda::resident_launcher<cuda::LayerBackward<T, float>>(run_.choice)(stream, run_, backward_);
  }

 private:
  int64_t carve(void* base) {
    const cuda::TileShape& tile = *row_.tile;
    const int64_t hidden = tile.hidden, states = slots_ * steps_ * hidden;
    cuda::Carver carver(base);
    run_.choice = {row_.policy, row_.math, row_.cell, row_.index, &tile, 1, 1, 0};
    run_.schedule = {slots_,  slots_, steps_, carver.take<cuda::SlotStep>(steps_ * slots_), carver.take<int64_t>(1),
                     nullptr, 0};
    run_.weights = carver.take<char>(cuda::recurrent_weight_bytes(row_.math, row_.cell, tile));
    const bool meets_in_l2 = row_.policy == cuda::RecurrencePolicy::kGrid;
    run_.area = meets_in_l2 ? carver.take<char>(cuda::grid_area_bytes(row_.math, tile)) : nullptr;

    const cuda::CellFacts cell = cuda::cell_facts(row_.cell);
    cuda::DirectionForward<T, float>& forward = forward_.direction[0];
    cuda::DirectionBackward<T, float>& backward = backward_.direction[0];
    backward.w_hh = forward.w_hh = carver.take<T>(cell.gates * hidden * hidden);
    backward.gates = forward.gates = carver.take<float>(cell.saved * states);
    backward.c = forward.c = carver.take<float>(states);
    backward.y = forward.y = carver.take<T>(states);
    backward.dy = carver.take<T>(states);
    backward.dgates = carver.take<T>(cell.gradients() * states);
    forward_.hidden = backward_.hidden = forward_.ldy = backward_.ldy = hidden;
    forward_.directions = backward_.directions = 1;
    backward_.in_pairs = cuda::has_pairs(backward_) ? 1 : 0;
    forward_.save = true;
    return carver.bytes();
  }

  // The memory of the emulated device is the host's to write.
  void fill_schedule() {
    *run_.schedule.steps = steps_;
    for (int64_t step = 0; step < steps_; ++step) {
      const uint32_t marks = (step == 0 ? cuda::kFirstToken : 0) | (step == steps_ - 1 ? cuda::kLastToken : 0);
      for (int64_t slot = 0; slot < slots_; ++slot) {
        const int64_t at = step * slots_ + slot;
        run_.schedule.entries[at] = {at, marks == 0 ? 0 : static_cast<uint32_t>(slot), marks};
      }
    }
  }

  const TableRow row_;
  const int64_t steps_, slots_;
  cuda::ResidentRun run_{};
  cuda::LayerForward<T, float> forward_{};
  cuda::LayerBackward<T, float> backward_{};
  DeviceZeros memory_;
};

template <class T>
void run_layer(const TableRow& row, Pass pass, int64_t steps) {
  Layer<T> layer(row, steps);
  require(layer.run(pass) == 0, pass == Pass::kForward ? "resident_forward" : "resident_backward");
  require(cudaStreamSynchronize(nullptr) == cudaSuccess, "cudaStreamSynchronize");
}

// Names as in the JSON.
struct NamedCount {
  const char* name;
  uint64_t simt::Statistics::*count;
};
constexpr NamedCount kCounts[] = {{"launches", &simt::Statistics::launches},
                                  {"mma", &simt::Statistics::matrix_products},
                                  {"ldmatrix", &simt::Statistics::matrix_loads},
                                  {"pushes", &simt::Statistics::pushes},
                                  {"pushed_bytes", &simt::Statistics::pushed_bytes},
                                  {"block_barriers", &simt::Statistics::block_barriers},
                                  {"instructions", &simt::Statistics::instructions},
                                  {"shared_bytes_read", &simt::Statistics::shared_bytes_read},
                                  {"shared_bytes_written", &simt::Statistics::shared_bytes_written},
                                  {"device_bytes_read", &simt::Statistics::device_bytes_read},
                                  {"device_bytes_written", &simt::Statistics::device_bytes_written}};

}  // namespace

Counts count_team(const TableRow& row, Pass pass, int64_t steps) {
  const simt::Statistics before = simt::statistics();
  switch (row.math) {
    case cuda::MathKind::kBf16:
      run_layer<Bf16>(row, pass, steps);
      break;
    case cuda::MathKind::kF16:
      run_layer<F16>(row, pass, steps);
      break;
    default:
      run_layer<float>(row, pass, steps);
  }
  const simt::Statistics after = simt::statistics();
  Counts counts;
  for (const NamedCount& named : kCounts)
    counts[named.name] = static_cast<int64_t>(after.*named.count - before.*named.count);
  return counts;
}

}  // namespace varlstm::count_recurrence
