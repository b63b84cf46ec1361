// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/blas_handles.h"

#include <mutex>
#include <new>

namespace varlstm::cuda {
namespace {

// A place for a handle. There are as many places as there were contexts at the same time.
struct Place {
  BlasHandle* handle;  // null: the place is free
  int device;
  bool taken;
  Place* next;
};

std::mutex mutex;
Place* first_place = nullptr;  // the first of a list that never shrinks

// Returns the first place with a handle of the device that was given back, otherwise a free place, otherwise a new one;
// null if there is no memory.
Place* find_place(int device) {
  Place* free = nullptr;
  for (Place* place = first_place; place != nullptr; place = place->next) {
    if (place->handle != nullptr && !place->taken && place->device == device) return place;
    if (place->handle == nullptr) free = place;
  }
  if (free != nullptr) return free;
  Place* const made = new (std::nothrow) Place{nullptr, device, false, first_place};
  if (made != nullptr) first_place = made;
  return made;
}

}  // namespace

BlasHandle* take_blas(int device) {
  const std::lock_guard<std::mutex> guard(mutex);
  Place* const place = find_place(device);
  if (place == nullptr) return nullptr;
  if (place->handle == nullptr) place->handle = open_blas();
  place->device = device;
  place->taken = place->handle != nullptr;
  return place->handle;
}

void give_back_blas(BlasHandle* blas) {
  if (blas == nullptr) return;
  const std::lock_guard<std::mutex> guard(mutex);
  Place* place = first_place;
  while (place->handle != blas) place = place->next;
  place->taken = false;
  if (*blas_problem(blas) == 0) return;
  close_blas(blas);  // a handle with a problem holds nothing on the device
  place->handle = nullptr;
}

}  // namespace varlstm::cuda
