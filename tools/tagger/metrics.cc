// Accuracy, and precision, recall and F1 of each tag.
// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace tagger {
namespace {

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double TagCounts::precision() const {
  return ratio(correct, predicted);
}
double TagCounts::recall() const {
  return ratio(correct, gold);
}
double TagCounts::f1() const {
  return ratio(2 * correct, gold + predicted);
}

double Scores::accuracy() const {
  return ratio(correct_, tokens_);
}
double Scores::oov_accuracy() const {
  return ratio(oov_correct_, oov_tokens_);
}

void Scores::add(std::string_view gold, std::string_view predicted, bool known_word) {
  const auto counts = [this](std::string_view tag) -> TagCounts& {
    const auto found = tags_.find(tag);
    return found != tags_.end() ? found->second : tags_.emplace(tag, TagCounts{}).first->second;
  };
  const bool correct = gold == predicted;
  ++tokens_;
  correct_ += correct;
  oov_tokens_ += !known_word;
  oov_correct_ += correct && !known_word;
  ++counts(gold).gold;
  ++counts(predicted).predicted;
  if (correct) ++counts(gold).correct;
}

std::string Scores::to_json() const {
  nlohmann::ordered_json out;
  out["tokens"] = tokens_;
  out["untagged"] = untagged_;
  out["accuracy"] = tokens_ > 0 ? nlohmann::ordered_json(accuracy()) : nlohmann::ordered_json();
  out["oov_tokens"] = oov_tokens_;
  out["oov_accuracy"] = oov_tokens_ > 0 ? nlohmann::ordered_json(oov_accuracy()) : nlohmann::ordered_json();
  out["tags"] = nlohmann::ordered_json::object();
  for (const auto& [tag, counts] : tags_)
    out["tags"][tag] = {
        {"precision", counts.precision()}, {"recall", counts.recall()}, {"f1", counts.f1()}, {"tokens", counts.gold}};
  return out.dump() + '\n';
}

std::string Scores::to_text() const {
  std::string out = fmt::format("tokens        {}\n", tokens_);
  if (untagged_ > 0)
    out += fmt::format("untagged      {}  (words that have no tag in the file: left out)\n", untagged_);
  if (tokens_ == 0) return out + "accuracy      none: there is no word to compare\n";
  out += fmt::format("accuracy      {:.4f}\n", accuracy());
  if (oov_tokens_ > 0)
    out += fmt::format("oov accuracy  {:.4f}  ({} words that training did not see)\n", oov_accuracy(), oov_tokens_);
  out += fmt::format("\n{:<10} {:>9} {:>9} {:>9} {:>9}\n", "tag", "precision", "recall", "F1", "tokens");
  for (const auto& [tag, counts] : tags_)
    out += fmt::format("{:<10} {:>9.4f} {:>9.4f} {:>9.4f} {:>9}\n", tag, counts.precision(), counts.recall(),
                       counts.f1(), counts.gold);
  return out;
}

}  // namespace tagger
