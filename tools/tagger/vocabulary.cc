// Word forms and tags, each with its number.
// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.h"

#include <set>
#include <unordered_set>
#include <utility>

#include "error.h"
#include "utf8.h"

namespace tagger {

Vocabulary::Vocabulary(std::vector<std::string> words, std::vector<std::string> tags)
    : words_(std::move(words)), tags_(std::move(tags)) {
  if (tags_.empty()) fail("the list of tags is empty");
  const auto fill = [](const std::vector<std::string>& list, int64_t first, const char* what, Index* index) {
    index->reserve(list.size());
    for (const std::string& entry : list) {
      if (!is_utf8(entry)) fail("the list of {} holds text that is not UTF-8", what);
      const int64_t id = first + static_cast<int64_t>(index->size());
      if (!index->emplace(entry, id).second) fail("the list of {} holds \"{}\" twice", what, entry);
    }
  };
  fill(words_, kFirstWord, "words", &word_index_);
  fill(tags_, 0, "tags", &tag_index_);
}

Vocabulary Vocabulary::of(const Document& document) {
  std::vector<std::string> words;
  std::unordered_set<std::string_view> seen;
  std::set<std::string> tags;
  for (int64_t w = 0; w < document.words(); ++w) {
    if (seen.insert(document.form(w)).second) words.emplace_back(document.form(w));
    tags.emplace(document.tag(w));
  }
  return Vocabulary(std::move(words), {tags.begin(), tags.end()});
}

int64_t Vocabulary::word_id(std::string_view form) const {
  const auto found = word_index_.find(form);
  return found == word_index_.end() ? kUnknown : found->second;
}

int64_t Vocabulary::tag_id(std::string_view tag) const {
  const auto found = tag_index_.find(tag);
  return found == tag_index_.end() ? kNoTag : found->second;
}

}  // namespace tagger
