// How good predicted tags are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tagger {

struct TagCounts {
  int64_t gold = 0, predicted = 0, correct = 0;

  // 0 where nothing was predicted, or nothing is to be found.
  double precision() const;
  double recall() const;
  double f1() const;
};

class Scores {
 public:
  // One word: its tag in the file, the predicted one, and whether the form was in the training file.
  void add(std::string_view gold, std::string_view predicted, bool known_word);

  // A word that has no tag in the file: it counts nowhere else.
  void add_untagged() { ++untagged_; }

  int64_t tokens() const { return tokens_; }
  int64_t untagged() const { return untagged_; }
  int64_t oov_tokens() const { return oov_tokens_; }
  double accuracy() const;      // 0 where there is no word: look at tokens
  double oov_accuracy() const;  // 0 where every word is known: look at oov_tokens
  const std::map<std::string, TagCounts, std::less<>>& tags() const { return tags_; }

  // {"tokens", "untagged", "accuracy" (null without tagged words), "oov_tokens", "oov_accuracy" (null without such
  // words), "tags": {TAG:
  // {"precision", "recall", "f1", "tokens"}}}
  std::string to_json() const;
  // The same as a table to read.
  std::string to_text() const;

 private:
  int64_t tokens_ = 0, untagged_ = 0, correct_ = 0, oov_tokens_ = 0, oov_correct_ = 0;
  std::map<std::string, TagCounts, std::less<>> tags_;
};

}  // namespace tagger
