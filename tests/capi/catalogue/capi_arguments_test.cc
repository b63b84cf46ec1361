// Every argument of every function wrong in turn: the status, the text, and that nothing was written. The cases come
// from the types and names that varlstm.h declares; what no type tells (wrong numbers, what may be NULL, in-place
// pairs) stands in capi_catalogue.cc.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "capi_catalogue.h"
#include "support/check_status.h"

#ifdef VARLSTM_TEST_FAKE_BACKEND
#include "support/fake_backend.h"
#endif

namespace varlstm_test {
namespace {

// Calls that reached the back end and do work there, where that can be counted.
int64_t backend_calls() {
#ifdef VARLSTM_TEST_FAKE_BACKEND
  return fake_backend().calls;
#else
  return 0;
#endif
}

bool is_handle(Kind kind) {
  return kind == Kind::kCtx || kind == Kind::kBatch || kind == Kind::kRnn || kind == Kind::kLoss;
}

bool is_byte_count(const Argument& argument) {
  return argument.name == "workspace_bytes" || argument.name == "reserve_bytes" || argument.name == "prepared_bytes";
}

// A buffer of no bytes (a workspace that is not needed, say) is never looked at.
bool is_empty(const World& world, const Argument& argument) {
  return argument.pointer != nullptr && world.back.bytes_at(argument.pointer) == 0 &&
         world.host.bytes_at(argument.pointer) == 0;
}

class Arguments : public ::testing::TestWithParam<Entry> {
 protected:
  // The right call with one change must fail like this, and leave no trace.
  void expect_error(const std::string& what, const std::function<void(World&, Call&)>& change, int32_t status,
                    std::initializer_list<std::string> texts) {
    World world;
    Call call = GetParam().make(world);
    SCOPED_TRACE(call.function() + ": " + what);
    change(world, call);
    const std::vector<unsigned char> before = world.snapshot();
    const int64_t calls_before = backend_calls();
    EXPECT_STATUS(status, call.run());
    EXPECT_EQ(backend_calls(), calls_before) << "the bad call reached the back end";
    const std::string message = varlstm_last_error();
    for (const std::string& text : texts) {
      EXPECT_NE(message.find(text), std::string::npos) << "«" << message << "» does not contain «" << text << "»";
    }
    EXPECT_TRUE(world.snapshot() == before) << "the failed call has written something";
  }

  void expect_ok(const std::string& what, const std::function<void(World&, Call&)>& change) {
    World world;
    Call call = GetParam().make(world);
    SCOPED_TRACE(call.function() + ": " + what);
    change(world, call);
    const int32_t status = call.run();
    EXPECT_OK(status);
    if (status == VARLSTM_OK) destroy_created(call);
  }

  static void set_pointer(Call& call, const std::string& name, const void* pointer) {
    call.argument(name).pointer = const_cast<void*>(pointer);
  }

  static const void* shifted(const void* pointer, int64_t bytes) { return static_cast<const char*>(pointer) + bytes; }

  void bad_handles(const Argument& argument);
  void bad_pointers(const Argument& argument);
  void move_pair(World& world, Call& call, const std::string& first, const std::string& second, int64_t shift);
  void overlaps(Call& call, const Argument& written, const Argument& other, int64_t written_bytes);
};

struct HandleChoice {
  const char* type;
  const void* live;
  const void* destroyed;
};

HandleChoice choice(const World& world, Kind kind) {
  switch (kind) {
    case Kind::kCtx:
      return {"varlstm_ctx", world.ctx, world.destroyed_ctx};
    case Kind::kBatch:
      return {"varlstm_batch", world.batch, world.destroyed_batch};
    case Kind::kRnn:
      return {"varlstm_rnn", world.rnn, world.destroyed_rnn};
    default:
      return {"varlstm_loss", world.loss, world.destroyed_loss};
  }
}

void Arguments::bad_handles(const Argument& argument) {
  const std::string name = argument.name;
  const Kind kind = argument.kind;
  const auto set_null = [&](World&, Call& call) { set_pointer(call, name, nullptr); };
  if (argument.may_be_null) {
    expect_ok(name + " NULL", set_null);
  } else {
    expect_error(name + " NULL", set_null, VARLSTM_ERROR_INVALID_HANDLE, {name + " is NULL"});
  }
  expect_error(name + " destroyed",
               [&](World& world, Call& call) { set_pointer(call, name, choice(world, kind).destroyed); },
               VARLSTM_ERROR_INVALID_HANDLE, {name + " = 0x", "was destroyed"});
  for (const Kind other : {Kind::kCtx, Kind::kBatch, Kind::kRnn, Kind::kLoss}) {
    if (other == kind) continue;
    World names;
    expect_error(name + " of another kind",
                 [&](World& world, Call& call) { set_pointer(call, name, choice(world, other).live); },
                 VARLSTM_ERROR_INVALID_HANDLE,
                 {name + " = 0x", std::string("is a ") + choice(names, other).type, choice(names, kind).type});
  }
  expect_error(name + " no handle",
               [&](World& world, Call& call) { set_pointer(call, name, world.host.take<int64_t>(16)); },
               VARLSTM_ERROR_INVALID_HANDLE, {name + " = 0x", "is not a varlstm_"});
  expect_error(name + " misaligned",
               [&](World& world, Call& call) { set_pointer(call, name, shifted(choice(world, kind).live, 1)); },
               VARLSTM_ERROR_INVALID_HANDLE, {name + " = 0x", "is not a varlstm_"});
}

void Arguments::bad_pointers(const Argument& argument) {
  const std::string name = argument.name;
  const auto set_null = [&](World&, Call& call) { set_pointer(call, name, nullptr); };
  if (argument.may_be_null) {
    expect_ok(name + " NULL", set_null);
  } else {
    expect_error(name + " NULL", set_null, VARLSTM_ERROR_INVALID_ARGUMENT, {name + " is NULL"});
  }
  if (argument.pointer == nullptr) return;
  for (int64_t shift = 1; shift < argument.alignment; shift *= 2) {
    expect_error(name + " misaligned by " + std::to_string(shift),
                 [&](World&, Call& call) { set_pointer(call, name, shifted(call.argument(name).pointer, shift)); },
                 VARLSTM_ERROR_INVALID_ARGUMENT,
                 {name + " = 0x", "not aligned to " + std::to_string(argument.alignment) + " bytes"});
  }
}

// Two buffers of a call, moved to free memory where the second starts `shift` bytes after the first.
void Arguments::move_pair(World& world, Call& call, const std::string& first, const std::string& second,
                          int64_t shift) {
  const bool at_back = world.back.bytes_at(call.argument(first).pointer) > 0;
  Arena& arena = at_back ? world.back : world.host;
  const void* sources[2] = {call.argument(first).pointer, call.argument(second).pointer};
  const int64_t bytes[2] = {arena.bytes_at(sources[0]), arena.bytes_at(sources[1])};
  ASSERT_GT(bytes[0], 0) << first << " is not in the arena";
  ASSERT_GT(bytes[1], 0) << second << " is not in the arena of " << first;
  char* area = arena.take<char>(shift + bytes[0] + bytes[1]);
  for (int k = 0; k < 2; ++k) {
    char* target = area + (k == 0 ? 0 : shift);
    if (at_back) {
      REQUIRE_OK(varlstm_copy(world.ctx, target, sources[k], bytes[k], VARLSTM_COPY_WITHIN_BACKEND, nullptr));
    } else {
      std::memcpy(target, sources[k], static_cast<size_t>(bytes[k]));
    }
    call.argument(k == 0 ? first : second).pointer = target;
  }
}

void Arguments::overlaps(Call& call, const Argument& written, const Argument& other, int64_t written_bytes) {
  const std::string name = written.name;
  const std::string other_name = other.name;
  const auto put = [&](int64_t shift) {
    return [&, shift](World& world, Call& changed) { move_pair(world, changed, name, other_name, shift); };
  };
  const auto refuse = [&](int64_t shift) {
    expect_error(other_name + " " + std::to_string(shift) + " bytes into " + name, put(shift),
                 VARLSTM_ERROR_INVALID_ARGUMENT, {name, other_name, "overlaps"});
  };
  if (call.in_place_pairs().count({name, other_name}) > 0) {
    expect_ok(other_name + " in place of " + name, put(0));
    refuse(other.alignment);
  } else {
    refuse(0);
  }
  const int64_t last = (written_bytes - 1) / other.alignment * other.alignment;
  if (last > other.alignment) refuse(last);
  if (written_bytes % other.alignment == 0) expect_ok(other_name + " right behind " + name, put(written_bytes));
}

TEST_P(Arguments, RightCallPasses) {
  expect_ok("as it is", [](World&, Call&) {});
}

TEST_P(Arguments, BadHandlesAreRefused) {
  World world;
  Call call = GetParam().make(world);
  for (const Argument& argument : call.arguments()) {
    if (is_handle(argument.kind)) bad_handles(argument);
  }
}

TEST_P(Arguments, BatchOfAnotherContextIsRefused) {
  World world;
  Call call = GetParam().make(world);
  if (!is_handle(call.arguments()[0].kind) || call.arguments()[0].name == "batch") return;
  for (const Argument& argument : call.arguments()) {
    if (argument.kind != Kind::kBatch) continue;
    expect_error("batch of another context",
                 [](World& other, Call& changed) { changed.argument("batch").pointer = other.other_batch; },
                 VARLSTM_ERROR_INVALID_ARGUMENT, {"batch = 0x", "another context"});
  }
}

TEST_P(Arguments, BadPointersAreRefused) {
  World world;
  Call call = GetParam().make(world);
  for (const Argument& argument : call.arguments()) {
    if (argument.kind == Kind::kPointer && !is_empty(world, argument)) bad_pointers(argument);
  }
}

TEST_P(Arguments, OverlapsAreRefused) {
  World world;
  Call call = GetParam().make(world);
  for (const Argument& written : call.arguments()) {
    if (written.kind != Kind::kPointer || !written.written || is_empty(world, written)) continue;
    const bool at_back = world.back.bytes_at(written.pointer) > 0;
    const int64_t bytes = (at_back ? world.back : world.host).bytes_at(written.pointer);
    for (const Argument& other : call.arguments()) {
      if (other.kind != Kind::kPointer || &other == &written || is_empty(world, other)) continue;
      if ((world.back.bytes_at(other.pointer) > 0) != at_back) continue;  // they cannot overlap
      overlaps(call, written, other, bytes);
    }
  }
}

TEST_P(Arguments, StreamOnTheHostIsRefused) {
  if (test_backend() != VARLSTM_BACKEND_HOST) return;
  World world;
  Call call = GetParam().make(world);
  for (const Argument& argument : call.arguments()) {
    if (argument.kind != Kind::kStream) continue;
    expect_error("a stream", [](World& other, Call& changed) { changed.argument("stream").pointer = other.ctx; },
                 VARLSTM_ERROR_INVALID_ARGUMENT, {"stream = 0x", "must be NULL"});
  }
}

TEST_P(Arguments, TooFewBytesAreRefused) {
  World world;
  Call call = GetParam().make(world);
  for (const Argument& argument : call.arguments()) {
    if (!is_byte_count(argument) || argument.kind != Kind::kInteger) continue;
    const std::string name = argument.name;
    for (const int64_t bytes : {int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
      expect_error("impossible " + name, [&](World&, Call& changed) { changed.argument(name).integer = bytes; },
                   VARLSTM_ERROR_INVALID_ARGUMENT, {name + " = " + std::to_string(bytes)});
    }
    const int64_t needed = argument.integer;
    for (const int64_t bytes : {needed - 1, int64_t{0}}) {
      if (bytes < 0 || bytes >= needed) continue;
      expect_error("too few " + name, [&](World&, Call& changed) { changed.argument(name).integer = bytes; },
                   VARLSTM_ERROR_BUFFER_TOO_SMALL,
                   {name + " = " + std::to_string(bytes), std::to_string(needed) + " bytes are needed"});
    }
  }
}

TEST_P(Arguments, BadNumbersAreRefused) {
  World world;
  Call call = GetParam().make(world);
  std::set<std::string> covered;
  for (const BadValue& bad : call.bad_values()) {
    covered.insert(bad.name);
    expect_error(bad.name + " = " + (bad.is_real ? std::to_string(bad.real) : std::to_string(bad.integer)),
                 [&](World&, Call& changed) {
                   changed.argument(bad.name).integer = bad.integer;
                   changed.argument(bad.name).real = bad.real;
                 },
                 bad.status, {bad.text});
  }
  for (const Argument& argument : call.arguments()) {
    if (argument.kind != Kind::kInteger && argument.kind != Kind::kReal) continue;
    EXPECT_TRUE(argument.any_value || is_byte_count(argument) || covered.count(argument.name) > 0)
        << call.function() << ": no wrong value of " << argument.name << " is tried";
  }
}

std::string label(const ::testing::TestParamInfo<Entry>& info) {
  std::string name = info.param.label.substr(sizeof "varlstm_" - 1);
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Every, Arguments, ::testing::ValuesIn(catalogue()), label);

TEST(Catalogue, CoversEveryFunctionOfTheHeader) {
  ASSERT_GE(header_functions().size(), 50u);
  // These cannot fail and have no argument that could be wrong; capi_error_test covers them.
  std::set<std::string> covered = {"varlstm_version", "varlstm_build_info", "varlstm_status_name",
                                   "varlstm_last_error"};
  for (const Entry& entry : catalogue()) {
    World world;
    covered.insert(entry.make(world).function());
  }
  for (const HeaderFunction& function : header_functions()) {
    EXPECT_EQ(covered.count(function.name), 1u) << function.name << " has no row in the catalogue";
  }
  EXPECT_EQ(covered.size(), header_functions().size());
}

}  // namespace
}  // namespace varlstm_test
