// The JSON parser with an eye on what a text may ask for.
// SPDX-License-Identifier: Apache-2.0
#include "json_text.h"

#include <set>
#include <vector>

#include "error.h"
#include "text.h"

namespace tagger {
namespace {

using nlohmann::json;

// No file of ours has more than three levels; a million open brackets would take a hundred times their own memory.
constexpr size_t kMaxDepth = 16;

// Sees each bracket, key and value before it is kept.
class Watch {
 public:
  Watch(std::string subject, const JsonLimits& limits, const JsonEntries& entries)
      : subject_(std::move(subject)), limits_(limits), entries_(entries) {}

  // The outermost object has ended: whatever follows is no part of it.
  bool ended() const { return ended_; }

  // Returns whether `parsed` is kept.
  bool see(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        count_entry();
        open_.push_back({event == json::parse_event_t::array_start, 0, {}});
        if (open_.size() > kMaxDepth) fail("{} is nested deeper than {} levels", subject_, kMaxDepth);
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        open_.pop_back();
        ended_ = open_.empty();
        return !take(parsed);
      case json::parse_event_t::key:
        if (!open_.back().keys.insert(parsed.get<std::string>()).second)
          fail("{} has the key {} twice", subject_, in_quotes(parsed.get<std::string>()));
        if (open_.back().keys.size() > limits_.object)
          fail("{} has an object of more than {} keys", subject_, limits_.object);
        if (open_.size() == 1) takes_list_ = entries_.take && parsed == entries_.list;
        break;
      case json::parse_event_t::value:
        count_entry();
        return !take(parsed);
    }
    return true;
  }

 private:
  struct Level {
    bool is_list;
    size_t entries;
    std::set<std::string> keys;
  };

  void count_entry() {
    if (!open_.empty() && open_.back().is_list && ++open_.back().entries > limits_.list)
      fail("{} has a list of more than {} entries", subject_, limits_.list);
  }

  // Hands the value on if it is an entry of the list.
  bool take(const json& value) {
    if (!takes_list_ || open_.size() != 2 || !open_.back().is_list) return false;
    entries_.take(value);
    return true;
  }

  std::string subject_;
  JsonLimits limits_;
  const JsonEntries& entries_;
  bool takes_list_ = false;  // the last key of the outermost object is the list's
  bool ended_ = false;
  std::vector<Level> open_;
};

}  // namespace

json parse_json_object(std::string_view text, const std::string& subject, const JsonLimits& limits,
                       const JsonEntries& entries) {
  Watch watch(subject, limits, entries);
  try {
    json object =
        json::parse(text, [&](int, json::parse_event_t event, json& parsed) { return watch.see(event, parsed); });
    if (!object.is_object()) fail("{} is no JSON object", subject);
    return object;
  } catch (const json::parse_error& error) {
    if (watch.ended()) fail("{} goes on after the end of its JSON, at byte {}", subject, error.byte);
    fail("{} is no JSON object: it is wrong or breaks off at byte {}", subject, error.byte);
  } catch (const json::exception&) {
    fail("{} is no JSON object: a number in it is too large", subject);
  }
}

}  // namespace tagger
