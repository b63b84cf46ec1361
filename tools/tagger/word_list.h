// Different words in the order in which they were added, each with its number from 0 on. All bytes stand in one text
// and a hash table holds numbers alone, so a word takes 10 to 15 bytes beside its own: files of vectors have millions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tagger {

class WordList {
 public:
  WordList() = default;
  WordList(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) add(word);
  }

  size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::string_view operator[](size_t number) const {  // valid until a word is added
    const uint32_t begin = number == 0 ? 0 : ends_[number - 1];
    return std::string_view(text_).substr(begin, ends_[number] - begin);
  }
  std::optional<size_t> find(std::string_view word) const;  // its number

  // Returns false, and changes nothing, if the word is there. Error if the words take 4 GiB.
  bool add(std::string_view word);
  // Puts words, none of which is here, before those that are here: their numbers grow.
  void put_in_front(const WordList& words);

  friend bool operator==(const WordList& a, const WordList& b) { return a.ends_ == b.ends_ && a.text_ == b.text_; }
  friend bool operator!=(const WordList& a, const WordList& b) { return !(a == b); }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  size_t slot_of(std::string_view word) const;
  void check_room(size_t bytes) const;
  void make_slots();

  std::string text_;
  std::vector<uint32_t> ends_;   // of each word in the text
  std::vector<uint32_t> slots_;  // numbers of words, or kFree: a power of two, at most three quarters taken
};

}  // namespace tagger
