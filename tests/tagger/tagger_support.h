// What the tagger's tests share: a folder that goes away, files in it, small CoNLL-U texts, and running the program.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace tagger_test {

namespace fs = std::filesystem;

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

class TempFolder {
 public:
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "varlstm-tagger-test-XXXXXX").string();
    if (!mkdtemp(name.data())) ADD_FAILURE() << "no temporary folder";
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

  // Names in the folder, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  fs::path path_;
};

// A row with form and tag in column UPOS, "X" in XPOS.
inline std::string row(const std::string& id, const std::string& form, const std::string& tag) {
  return id + '\t' + form + "\tlemma\t" + tag + "\tX\tf=1\t0\troot\t_\t_\n";
}

struct Outcome {
  int status = -1;  // exit status, or 128 + signal
  std::string out, err;
};

inline int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// Runs a shell line, its standard output and error kept apart.
inline Outcome run_shell(const std::string& line) {
  const TempFolder folder;
  const std::string command = "( " + line + " ) >" + (folder / "out") + " 2>" + (folder / "err");
  Outcome outcome;
  outcome.status = exit_status(std::system(command.c_str()));
  outcome.out = read_file(folder / "out");
  outcome.err = read_file(folder / "err");
  return outcome;
}

}  // namespace tagger_test
