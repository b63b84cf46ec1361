// The race detector: two accesses to a byte, one of them a write and not both strong, must be ordered by a barrier of a
// scope that both threads belong to, or by a release and an acquire, or because a strong access saw what the other one
// stored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "kernels/simt/knowledge.h"

namespace varlstm::simt {

struct Thread;

// Strong accesses are order.h's; kAtomic is one that stores.
enum class Access : unsigned { kStrongRead = 0, kRead = 1, kWrite = 2, kAtomic = 3 };

// An access of the current thread from the instruction before `pc` (of PTX from Thread::place): bounds, asynchronous
// copies in flight, races.
void note_access(const void* address, size_t bytes, Access access, uintptr_t pc);

// What the current thread has done and knows goes into `epochs`; it comes back from there. Nothing where no races are
// looked for: among many threads it would take most of the time.
void release_into(Epochs& epochs);
void acquire_from(const Epochs& epochs);

// The same as something that is shared, and what somebody else knew; null where nothing is.
Knowledge released_knowledge();
void acquire_from(const Knowledge& knowledge);

// Whether races are looked for. Then each thread's accesses up to its next synchronisation are a segment, 0 where there
// are too many; whether all of one came before what the current thread does next, by what it knows and `more`.
bool races_are_watched();
uint32_t current_segment();
bool happened_before(uint32_t segment, const Knowledge& more);

// The current thread arrives at the cluster's barrier without a release: who waits there does not come after what it
// has done since its last arrival that releases, but for what has been announced.
void withhold_from_cluster();
void announce(const std::vector<uint32_t>& segments);

// The key of the unit of that scope that a thread belongs to.
uint64_t unit_key(Scope scope, const Thread& thread);

// The launch begins; shared memory of its next wave is new.
void begin_race_launch();
void begin_race_wave();

// A thread of a block may not end while another block could still use its shared memory.
void note_visit(const void* address, uintptr_t pc);
void check_visitors();

// The end of a thread's kernel: what it left undone is a defect.
void leave_kernel();

}  // namespace varlstm::simt
