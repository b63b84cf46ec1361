// How a model gets to its place: what is on the disk before the folder's name changes, that there is a model at every
// moment, and what is left where the file system refuses. The calls that matter are this program's own (below), which
// pass them on to the kernel, write them down, and fail where a test asks for it.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>

#include "error.h"
#include "model.h"
#include "tagger_model_support.h"
#include "tagger_support.h"

namespace {

// While one exists, it watches the calls.
struct Disk {
  Disk() { current = this; }
  ~Disk() { current = nullptr; }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  std::vector<std::string> calls;                // "fsync PATH", "rename FROM TO"
  std::map<std::string, std::vector<int>> fail;  // errno of the first, second, … call of that name; 0: it works
  std::function<void()> before;                  // runs before each call
  size_t most_at_once = SIZE_MAX;                // bytes that one write() takes

  static Disk* current;
};
Disk* Disk::current = nullptr;

// mkdtemp's six characters differ from run to run.
std::string without_chance(std::string text) {
  const std::string mark = ".partial-";
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += mark.size())
    text.erase(at + mark.size(), 6);
  return text;
}

// Notes the call and says whether it may go on.
bool watch(const std::string& name, const std::string& arguments) {
  Disk* disk = std::exchange(Disk::current, nullptr);  // what a test does in between is not watched
  if (!disk) return true;
  if (disk->before) disk->before();
  disk->calls.push_back(without_chance(name + ' ' + arguments));
  std::vector<int>& errors = disk->fail[name];
  const int error = errors.empty() ? 0 : errors.front();
  if (!errors.empty()) errors.erase(errors.begin());
  Disk::current = disk;
  errno = error;
  return error == 0;
}

}  // namespace

extern "C" {

int fsync(int descriptor) {
  char path[4096] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = readlink(link.c_str(), path, sizeof path - 1);
  struct stat status = {};
  fstat(descriptor, &status);
  const std::string bytes = S_ISREG(status.st_mode) ? ' ' + std::to_string(status.st_size) + " bytes" : "";
  if (!watch("fsync", std::string(path, length > 0 ? static_cast<size_t>(length) : 0) + bytes)) return -1;
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

ssize_t write(int descriptor, const void* data, size_t count) {
  if (Disk::current) count = std::min(count, Disk::current->most_at_once);
  return syscall(SYS_write, descriptor, data, count);
}

int rename(const char* from, const char* to) noexcept {
  if (!watch("rename", std::string(from) + ' ' + to)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0u));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  if (!watch("renameat2", std::string(from) + ' ' + to)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

}  // extern "C"

namespace tagger {
namespace {

using tagger_test::read_file;
using tagger_test::TempFolder;
using tagger_test::write_file;
namespace fs = std::filesystem;

class TaggerPublish : public testing::Test {
 protected:
  // A model that can be told from others by its first parameter.
  void save(float first) {
    Vocabulary vocabulary({"a"}, {"X"});
    NetworkShape shape;
    shape.words = vocabulary.word_rows();
    shape.embedding = shape.hidden = 2;
    shape.tags = vocabulary.tag_count();
    std::vector<float> parameters(static_cast<size_t>(parameter_count(shape)), 1);
    parameters[0] = first;
    save_model(place_, {Column::kUpos, shape, std::move(vocabulary), 1, 0.5}, parameters.data());
  }
  static float first_of(const std::string& folder) { return tagger_test::parameters_of(Model(folder))[0]; }
  float first() const { return first_of(place_); }

  std::string error_of_save(float first) {
    try {
      save(first);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  // The calls' paths from the temporary folder on.
  std::vector<std::string> calls(const Disk& disk) const {
    std::vector<std::string> calls;
    const std::string begin = fs::canonical(folder_.path()).string();
    for (std::string call : disk.calls) {
      for (size_t at; (at = call.find(begin)) != std::string::npos;) call.erase(at, begin.size());
      calls.push_back(call);
    }
    return calls;
  }

  TempFolder folder_;
  const std::string place_ = folder_ / "m";
};

TEST_F(TaggerPublish, EverythingIsOnTheDiskBeforeTheNameChanges) {
  Disk disk;
  save(1);
  const auto bytes = [&](const std::string& file) {
    return "fsync /m.partial-/" + file + ' ' + std::to_string(fs::file_size(place_ + '/' + file)) + " bytes";
  };
  const std::vector<std::string> written = {bytes("model.safetensors"), bytes("config.json"), "fsync /m.partial-"};
  std::vector<std::string> expected = written;
  expected.insert(expected.end(), {"rename /m.partial- /m", "fsync "});
  EXPECT_EQ(calls(disk), expected);

  disk.calls.clear();
  save(2);
  expected = written;
  expected.insert(expected.end(), {"rename /m.partial- /m", "renameat2 /m.partial- /m", "fsync "});
  EXPECT_EQ(calls(disk), expected);
}

TEST_F(TaggerPublish, ThereIsAModelAtEveryMoment) {
  save(1);
  std::vector<float> seen;
  Disk disk;
  disk.before = [&] { seen.push_back(fs::exists(place_) ? first() : 0); };
  save(2);
  disk.before = nullptr;
  // Before each of the six calls: files, folder, rename, exchange; then the new one, before the parent's fsync.
  EXPECT_EQ(seen, (std::vector<float>{1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(first(), 2);
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"m"});
}

TEST_F(TaggerPublish, AFileSystemWithoutExchangeTakesTwoRenames) {
  for (int error : {EINVAL, ENOSYS, ENOTSUP}) {
    save(1);
    Disk disk;
    disk.fail["renameat2"] = {error};
    save(2);
    EXPECT_EQ(first(), 2);
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"m"});
    const std::vector<std::string> made = calls(disk);
    ASSERT_EQ(made.size(), 8u);
    EXPECT_EQ(made[5], "rename /m /m.partial-.old");
    EXPECT_EQ(made[6], "rename /m.partial- /m");
  }
}

// A written model is not thrown away because its place cannot be taken, and the old one stays where it is.
TEST_F(TaggerPublish, WhereThePlaceIsRefusedBothModelsStay) {
  struct Case {
    const char* call;
    std::vector<int> rename, renameat2;
    int reason;
  };
  for (const Case& c : {Case{"rename", {EBUSY}, {}, EBUSY}, Case{"renameat2", {}, {EPERM}, EPERM},
                        Case{"aside", {0, EACCES}, {EINVAL}, EACCES}, Case{"back", {0, 0, EIO}, {EINVAL}, EIO}}) {
    SCOPED_TRACE(c.call);
    fs::remove_all(place_);
    save(1);
    std::string error;
    {
      Disk disk;
      disk.fail["rename"] = c.rename;
      disk.fail["renameat2"] = c.renameat2;
      // The first rename meets a filled folder by itself: its 0 lets it through to the kernel.
      error = error_of_save(2);
    }
    EXPECT_EQ(first(), 1);
    const std::string kept = error.substr(error.rfind(' ') + 1);
    EXPECT_EQ(error, "cannot create " + fs::canonical(folder_.path()).string() + "/m: " + std::strerror(c.reason) +
                         "; what belongs there stays in " + kept);
    EXPECT_EQ(first_of(kept), 2);
    fs::remove_all(kept);
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"m"});
  }
}

TEST_F(TaggerPublish, ADiskThatFailsIsAnErrorAndTheOldModelStays) {
  save(1);
  for (int call : {0, 1, 2}) {
    Disk disk;
    disk.fail["fsync"] = std::vector<int>(static_cast<size_t>(call), 0);
    disk.fail["fsync"].push_back(EIO);
    const std::string error = error_of_save(2), end = std::string(": ") + std::strerror(EIO);
    EXPECT_EQ(error.find("cannot write " + fs::canonical(folder_.path()).string() + "/m.partial-"), 0u) << error;
    EXPECT_EQ(error.substr(error.size() - end.size()), end);
    EXPECT_EQ(first(), 1);
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"m"});
  }
  // Nothing to bring to a disk: no error.
  Disk disk;
  disk.fail["fsync"] = {EINVAL, EROFS, ENOTSUP, EINVAL};
  save(2);
  EXPECT_EQ(first(), 2);
}

// A call that writes less than it was given is no error, and what is left has to follow.
TEST_F(TaggerPublish, ShortWritesAreContinued) {
  save(1);
  const std::string tensors = read_file(place_ + "/model.safetensors"), config = read_file(place_ + "/config.json");
  Disk disk;
  disk.most_at_once = 7;
  save(1);
  EXPECT_EQ(read_file(place_ + "/model.safetensors"), tensors);
  EXPECT_EQ(read_file(place_ + "/config.json"), config);
}

TEST_F(TaggerPublish, WhatSomebodyElsePutIntoTheFolderMovesAlong) {
  save(1);
  write_file(place_ + "/notes.txt", "kept");
  fs::create_directory(place_ + "/plots");
  write_file(place_ + "/plots/loss.png", "kept too");
  save(2);
  EXPECT_EQ(first(), 2);
  EXPECT_EQ(read_file(place_ + "/notes.txt"), "kept");
  EXPECT_EQ(read_file(place_ + "/plots/loss.png"), "kept too");
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"m"});
  // Where it cannot move, the old folder stays with it.
  Disk disk;
  disk.fail["rename"] = {0, EXDEV};
  save(3);
  EXPECT_EQ(first(), 3);
  EXPECT_EQ(folder_.names().size(), 2u);
}

}  // namespace
}  // namespace tagger
