// The race detector. If two threads access a byte, one access is a write and not both are strong, then the accesses
// must be ordered: by a barrier of a scope that both threads belong to, by a release and an acquire, or because a
// strong access saw what the other access stored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "kernels/simt/knowledge.h"

namespace varlstm::simt {

struct Thread;

// Strong accesses are those of order.h. kAtomic is a strong access that stores.
enum class Access : unsigned { kStrongRead = 0, kRead = 1, kWrite = 2, kAtomic = 3 };

// Checks an access of the current thread, made by the instruction before `pc` (by the line Thread::place for PTX): its
// bounds, asynchronous copies in flight, and races.
void note_access(const void* address, size_t bytes, Access access, uintptr_t pc);

// release_into adds what the current thread has done and knows to `epochs`; acquire_from takes it from there. They do
// nothing if the race detector is off: among many threads they would take most of the time.
void release_into(Epochs& epochs);
void acquire_from(const Epochs& epochs);

// The same with shared objects; null if there is no knowledge.
Knowledge released_knowledge();
void acquire_from(const Knowledge& knowledge);

// Whether the race detector is on. If it is, the accesses of a thread up to its next synchronisation are a segment,
// with number 0 if there are too many segments. happened_before returns whether all of a segment came before what the
// current thread does next, by what the thread knows and `more`.
bool races_are_watched();
uint32_t current_segment();
bool happened_before(uint32_t segment, const Knowledge& more);

// The operations of the async proxy (wgmma, bulk copies) access memory as agents of their own, each of which is named
// by a number. begin_async makes the next operation of that agent, which the current thread starts, and returns what a
// thread that has waited for it knows. note_async_access checks an access of the latest operation: it must be ordered
// after what the current thread comes after, and it must not touch what a thread stored with ordinary stores unless
// that thread has called fence_async_proxy since (PTX ISA, «Async proxy»). Shared and device memory have a fence each.
Epoch begin_async(uint64_t agent);
void note_async_access(const void* address, size_t bytes, Access access, uintptr_t pc);
void fence_async_proxy(bool shared, bool device);
void acquire_from(const Epoch& epoch);
void release_async(const Epoch& epoch, Epochs& epochs);

// Called if the current thread arrives at the cluster's barrier without a release: threads that wait there do not come
// after what it has done since its last releasing arrival, except for segments that it has announced.
void withhold_from_cluster();
void announce(const std::vector<uint32_t>& segments);

// Returns the key of the unit of that scope that a thread belongs to.
uint64_t unit_key(Scope scope, const Thread& thread);

// Called when the launch begins, and when its next wave begins, for which shared memory is new.
void begin_race_launch();
void begin_race_wave();

// The last thread of a block must not end while another block could still use its shared memory.
void note_visit(const void* address, uintptr_t pc);
void check_visitors();

// Called at the end of a thread's kernel. What the thread left undone is a defect.
void leave_kernel();

}  // namespace varlstm::simt
