// Words in one text, found by open addressing with steps of one slot.
// SPDX-License-Identifier: Apache-2.0
#include "word_list.h"

#include <algorithm>
#include <functional>

#include "error.h"

namespace tagger {

std::optional<size_t> WordList::find(std::string_view word) const {
  if (slots_.empty()) return std::nullopt;
  const uint32_t number = slots_[slot_of(word)];
  return number == kFree ? std::nullopt : std::optional<size_t>(number);
}

bool WordList::add(std::string_view word) {
  if (find(word)) return false;
  check_room(word.size());
  text_.append(word);
  ends_.push_back(static_cast<uint32_t>(text_.size()));
  if (4 * size() > 3 * slots_.size())
    make_slots();
  else
    slots_[slot_of((*this)[size() - 1])] = static_cast<uint32_t>(size() - 1);
  return true;
}

void WordList::put_in_front(const WordList& words) {
  check_room(words.text_.size());
  text_.insert(0, words.text_);
  for (uint32_t& end : ends_) end += static_cast<uint32_t>(words.text_.size());
  ends_.insert(ends_.begin(), words.ends_.begin(), words.ends_.end());
  make_slots();
}

// The slot that has the word's number, or the free one where it belongs.
size_t WordList::slot_of(std::string_view word) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(word) & mask;
  while (slots_[slot] != kFree && (*this)[slots_[slot]] != word) slot = (slot + 1) & mask;
  return slot;
}

void WordList::check_room(size_t bytes) const {
  if (bytes >= kFree - text_.size()) fail("the words take 4 GiB or more");
}

// Finds a slot for every word in a new table.
void WordList::make_slots() {
  size_t slots = 16;
  while (4 * size() > 3 * slots) slots *= 2;
  slots_.assign(slots, kFree);
  for (size_t number = 0; number < size(); ++number) slots_[slot_of((*this)[number])] = static_cast<uint32_t>(number);
}

}  // namespace tagger
