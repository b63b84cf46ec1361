// Word vectors for a vocabulary: one pass over the file, which keeps the rows that a form could take.
// SPDX-License-Identifier: Apache-2.0
#include "pretrained.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "error.h"
#include "progress.h"
#include "text.h"
#include "vector_file.h"

namespace tagger {
namespace {

// Rows of vectors by token; a row is found by the token's place among `tokens`.
class Rows {
 public:
  explicit Rows(int64_t features) : features_(static_cast<size_t>(features)) {}

  // Tokens to wait for.
  void want(std::string token) { places_.emplace(std::move(token), kNotSeen); }
  bool wants(const std::string& token) const { return places_.count(token) > 0; }
  // Keeps the row if its token is wanted. Returns false if an earlier row had the token.
  bool offer(const std::string& token, const float* values) {
    const auto found = places_.find(token);
    if (found == places_.end()) return true;
    if (found->second != kNotSeen) return false;
    found->second = static_cast<int64_t>(seen_.size());
    seen_.push_back(&found->first);
    values_.insert(values_.end(), values, values + features_);
    return true;
  }
  // The row of a token that was wanted and seen, or null.
  const float* find(const std::string& token) const {
    const auto found = places_.find(token);
    return found == places_.end() || found->second == kNotSeen ? nullptr : row(found->second);
  }
  // The wanted tokens that were seen, in the order of their rows.
  const std::vector<const std::string*>& seen() const { return seen_; }
  const float* row(int64_t place) const { return values_.data() + static_cast<size_t>(place) * features_; }

 private:
  static constexpr int64_t kNotSeen = -1;
  size_t features_;
  std::unordered_map<std::string, int64_t> places_;
  std::vector<const std::string*> seen_;
  std::vector<float> values_;
};

enum class Match { kNone, kExact, kLower };

struct Found {
  Match match = Match::kNone;
  const float* row = nullptr;
};

Found find(const Rows& rows, const std::string& form) {
  if (const float* const row = rows.find(form)) return {Match::kExact, row};
  if (const float* const row = rows.find(lower_case(form))) return {Match::kLower, row};
  return {};
}

void count(const Document& document, const Rows& rows, std::unordered_set<std::string>* seen, Coverage* coverage) {
  for (int64_t w = 0; w < document.words(); ++w) {
    const std::string form(document.form(w));
    const Match match = find(rows, form).match;
    ++coverage->words;
    coverage->exact_words += match == Match::kExact;
    coverage->lower_words += match == Match::kLower;
    if (!seen->insert(form).second) continue;
    ++coverage->forms;
    coverage->exact_forms += match == Match::kExact;
    coverage->lower_forms += match == Match::kLower;
  }
}

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// The rows of the file that no form of the training and dev files takes.
class Others {
 public:
  explicit Others(Pretrained* result) : result_(*result) {}

  void offer(const std::string& token, const float* values) {
    if (!form_fault(token).empty()) {
      ++result_.unusable;
      return;
    }
    if (!result_.other_words.add(token)) {
      ++result_.duplicates;
      return;
    }
    ++result_.other_rows;
    std::vector<std::vector<float>>& pieces = result_.other_vectors;
    const size_t features = static_cast<size_t>(result_.features);
    if (pieces.empty() || pieces.back().capacity() - pieces.back().size() < features) {
      pieces.emplace_back();
      pieces.back().reserve(std::max<size_t>(kPieceElements / features, 1) * features);
    }
    pieces.back().insert(pieces.back().end(), values, values + features);
  }

 private:
  static constexpr size_t kPieceElements = size_t{1} << 20;
  Pretrained& result_;
};

}  // namespace

std::string Coverage::to_text() const {
  return fmt::format("{:.1f} % of {} words, {:.1f} % of {} forms ({:.1f} % by their lower case)",
                     percent(exact_words + lower_words, words), words, percent(exact_forms + lower_forms, forms), forms,
                     percent(lower_forms, forms));
}

Pretrained read_pretrained(const std::string& path, const Vocabulary& vocabulary, const std::vector<Document>& train,
                           const Document& dev, bool keep_all) {
  const WordList& train_words = vocabulary.words();
  VectorFile file(path);
  Pretrained result;
  result.path = path;
  result.form = file.form();
  result.features = file.features();
  Rows rows(file.features());
  const auto want = [&](const std::string& form) {
    rows.want(form);
    rows.want(lower_case(form));
  };
  for (size_t k = 0; k < train_words.size(); ++k) want(std::string(train_words[k]));
  for (int64_t w = 0; w < dev.words(); ++w) want(std::string(dev.form(w)));

  Others others(&result);
  FileProgress progress(path, file.file_bytes());
  std::string token;
  while (file.next()) {
    token = vocabulary.word_of(file.token());
    if (!rows.offer(token, file.values()))
      ++result.duplicates;
    else if (keep_all && !rows.wants(token))
      others.offer(token, file.values());
    progress.update(file.file_bytes_read());
  }
  progress.clear();
  result.rows = static_cast<int64_t>(file.rows());

  const auto take = [&](const std::string& word, const Found& found) {
    result.has_vector.push_back(found.row != nullptr);
    if (found.row != nullptr)
      result.vectors.insert(result.vectors.end(), found.row, found.row + result.features);
    else
      result.vectors.insert(result.vectors.end(), static_cast<size_t>(result.features), 0.0f);
    return word;
  };
  std::unordered_set<std::string> known;
  for (size_t k = 0; k < train_words.size(); ++k) {
    const std::string& word = *known.emplace(train_words[k]).first;
    take(word, find(rows, word));
  }
  for (int64_t w = 0; w < dev.words(); ++w) {
    const std::string form = vocabulary.word_of(dev.form(w));
    const Found found = find(rows, form);
    if (found.row != nullptr && known.insert(form).second) result.dev_words.push_back(take(form, found));
  }
  // Tokens that a form took by its lower case are words of their own.
  for (size_t k = 0; keep_all && k < rows.seen().size(); ++k)
    if (known.count(*rows.seen()[k]) == 0) others.offer(*rows.seen()[k], rows.row(static_cast<int64_t>(k)));
  std::unordered_set<std::string> seen_forms;
  for (const Document& document : train) count(document, rows, &seen_forms, &result.train);
  seen_forms.clear();
  count(dev, rows, &seen_forms, &result.dev);
  return result;
}

}  // namespace tagger
