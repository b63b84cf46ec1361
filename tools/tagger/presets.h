// Values for options of train that a name stands for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tagger {

struct Preset {
  std::string name, purpose;
  std::vector<std::pair<std::string, std::string>> values;  // option, value; the others keep their defaults

  std::string to_text() const {
    std::string text;
    for (const auto& [option, value] : values) text += (text.empty() ? "" : " ") + option + " " + value;
    return text;
  }
};

// Chosen on the dev file of UD English EWT: bench/NOTES.md has the figures, and what else was tried.
inline const std::vector<Preset>& presets() {
  static const std::vector<Preset> list = {
      {"fast", "the defaults", {}},
      {"accurate",
       "larger, with more dropout and more epochs",
       {{"--word-case", "lower"},
        {"--hidden", "200"},
        {"--char-filters", "50"},
        {"--char-widths", "2,3,4"},
        {"--dropout", "0.5"},
        {"--word-dropout", "1"},
        {"--lr-schedule", "linear"},
        {"--epochs", "15"},
        {"--patience", "0"}}},
  };
  return list;
}

}  // namespace tagger
