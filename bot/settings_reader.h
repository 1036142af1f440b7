// Reads a TOML table by rule and collects every problem with file, line and column, so that one start shows
// all that is wrong with the settings instead of the first of it. What each key means stands in config.cpp.
// Thread: any, no state but its own. Failure: a problem is collected and the fallback returned; nothing
// throws.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "storage/clock.h"

namespace keyturn::bot {

// What a value must be, in words for whoever wrote it.
struct Rule {
  std::string expected;  // "a Slack team id"
  std::string example;   // as it stands in the file: "\"T0123ABCD\""
  std::function<bool(const std::string&)> accepts = [](const std::string& text) { return !text.empty(); };
};

// "90d", "24h", "5m", "10s", "250ms"; nothing for any other text, or for what 64 bits can't hold.
std::optional<storage::Duration> parse_duration(std::string_view text);

// A credential that stands where none may.
struct StrayCredential {
  std::size_t offset = 0;
  std::string_view what;   // "a Slack bot token"
  std::string_view where;  // where it belongs
};
std::vector<StrayCredential> stray_credentials(std::string_view text);

// The known key that `typed` was probably meant to be; empty when none is near.
std::string nearest_key(std::string_view typed, const std::set<std::string>& known);

// All problems of one file. A credential inside a message is masked on the way in.
class Problems {
 public:
  explicit Problems(std::string file_name) : file_name_(std::move(file_name)) {}
  void add(toml::source_position where, const std::string& message);
  bool empty() const { return lines_.empty(); }
  // One a line, in the order of the file.
  std::string text() const;

 private:
  std::string file_name_;
  std::multimap<std::pair<toml::source_index, toml::source_index>, std::string> lines_;
};

// One table of the file. Every key is asked for exactly once; finish() then reports the keys that nobody
// asked for. A table that isn't there reads like an empty one, so that its required keys are reported as
// missing.
class Section {
 public:
  // `problems` and `known` must outlive this, and so must `table`, which may be null.
  Section(Problems& problems, std::set<std::string>& known, const toml::table* table, std::string path,
          toml::source_position where);

  std::string required(const std::string& key, const Rule& rule);
  std::string optional(const std::string& key, const Rule& rule, std::string fallback);
  std::vector<std::string> list(const std::string& key, const Rule& rule, std::vector<std::string> fallback);
  bool flag(const std::string& key, bool fallback);
  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most, std::int64_t fallback);
  storage::Duration duration(const std::string& key, storage::Duration least, storage::Duration most,
                             storage::Duration fallback);
  Section table(const std::string& key);
  std::vector<Section> tables(const std::string& key);

  bool has(const std::string& key) const;
  // A problem with a key's value that only shows together with other values.
  void refuse(const std::string& key, const std::string& why);
  void finish();

 private:
  const toml::node* ask(const std::string& key);
  std::string named(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  toml::source_position place(const std::string& key) const;
  void missing(const std::string& key, const Rule& rule);
  void wrong(const toml::node& node, const std::string& key, const Rule& rule);

  Problems& problems_;
  std::set<std::string>& known_;  // every key of the language, "slack.team"
  const toml::table* table_;
  std::string path_;
  toml::source_position where_;
  std::set<std::string> asked_;
};

}  // namespace keyturn::bot
