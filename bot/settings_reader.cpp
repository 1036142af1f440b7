#include "bot/settings_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

#include "integrations/credentials.h"

namespace keyturn::bot {

namespace {

using integrations::Credential;

// What it is and where it belongs. `text` is the credential.
StrayCredential described(Credential kind, std::string_view text, std::size_t offset) {
  static constexpr std::string_view kStripeKeysBelong =
      "Stripe keys stand in no file of Keyturn: the current one is read from Infisical, the new one comes "
      "through the form";
  switch (kind) {
    case Credential::slack_token:
      if (text.starts_with("xapp-"))
        return {offset, "a Slack app-level token", "put it in secrets_folder/slack-app-token"};
      return {offset, "a Slack token",
              "put a bot token in secrets_folder/slack-bot-token; others are not needed"};
    case Credential::heroku_token:
      return {offset, "a Heroku token", "put it in secrets_folder/heroku-token"};
    case Credential::stripe_restricted_key:
      return {offset, "a Stripe restricted key", kStripeKeysBelong};
    case Credential::stripe_secret_key:
    case Credential::stripe_organization_key:
      return {offset, "a Stripe secret key", kStripeKeysBelong};
    case Credential::stripe_other:
      return {offset, "a Stripe credential", kStripeKeysBelong};
  }
  return {offset, "a credential", "see secrets_folder"};
}

constexpr std::size_t kLongestQuote = 60;

// As it should be seen in a message: quoted, on one line, not longer than useful.
std::string quoted(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  if (text.size() > kLongestQuote) {
    // Masked before it is cut, because a cut credential may be too short to be recognised.
    text = integrations::redact_credentials(text).substr(0, kLongestQuote) + "...";
  }
  return '"' + text + '"';
}

std::string shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return quoted(text->get());
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (node.is_array()) return node.as_array()->empty() ? "an empty list" : "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

// Nothing that is secret is set in the settings: whoever tries is told where it goes.
bool sounds_secret(std::string_view key) {
  for (std::string_view word : {"token", "client_secret", "sealing", "password", "api_key", "signing"}) {
    if (key.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::string in_file_words(storage::Duration duration) {
  struct Unit {
    storage::Duration size;
    std::string_view name;
  };
  for (const Unit& unit : {Unit{std::chrono::days(1), "d"}, Unit{std::chrono::hours(1), "h"},
                           Unit{std::chrono::minutes(1), "m"}, Unit{std::chrono::seconds(1), "s"}}) {
    if (duration >= unit.size && duration % unit.size == storage::Duration::zero()) {
      return fmt::format("{}{}", duration / unit.size, unit.name);
    }
  }
  return fmt::format("{}ms", duration.count());
}

}  // namespace

std::optional<storage::Duration> parse_duration(std::string_view text) {
  static const std::map<std::string_view, std::int64_t, std::less<>> milliseconds = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{}) return std::nullopt;
  const auto unit = milliseconds.find(text.substr(static_cast<std::size_t>(end - text.data())));
  if (unit == milliseconds.end()) return std::nullopt;
  if (count > std::numeric_limits<std::int64_t>::max() / unit->second) return std::nullopt;
  return storage::Duration(count * unit->second);
}

std::vector<StrayCredential> stray_credentials(std::string_view text) {
  std::vector<StrayCredential> found;
  std::size_t from = 0;
  while (const auto credential = integrations::find_credential(text, from)) {
    const auto [kind, begin, end] = *credential;
    found.push_back(described(kind, text.substr(begin, end - begin), begin));
    from = end;
  }
  return found;
}

std::string nearest_key(std::string_view typed, const std::set<std::string>& known) {
  std::string nearest;
  std::size_t best = std::max<std::size_t>(2, typed.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(typed, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

void Problems::add(toml::source_position where, const std::string& message) {
  lines_.emplace(std::pair(where.line, where.column),
                 fmt::format("{}:{}:{}: {}", file_name_, where.line, where.column,
                             integrations::redact_credentials(message)));
}

std::string Problems::text() const {
  std::string all;
  for (const auto& [where, line] : lines_) {
    if (!all.empty()) all += '\n';
    all += line;
  }
  return all;
}

Section::Section(Problems& problems, std::set<std::string>& known, const toml::table* table, std::string path,
                 toml::source_position where)
    : problems_(problems), known_(known), table_(table), path_(std::move(path)), where_(where) {}

const toml::node* Section::ask(const std::string& key) {
  asked_.insert(key);
  known_.insert(named(key));
  return table_ != nullptr ? table_->get(key) : nullptr;
}

bool Section::has(const std::string& key) const { return table_ != nullptr && table_->contains(key); }

toml::source_position Section::place(const std::string& key) const {
  const toml::node* node = table_ != nullptr ? table_->get(key) : nullptr;
  return node != nullptr ? node->source().begin : where_;
}

void Section::missing(const std::string& key, const Rule& rule) {
  problems_.add(where_, fmt::format("{} is missing; expected {}; for example: {} = {}", named(key),
                                    rule.expected, key, rule.example));
}

void Section::wrong(const toml::node& node, const std::string& key, const Rule& rule) {
  problems_.add(node.source().begin, fmt::format("{} is {}; expected {}; for example: {} = {}", named(key),
                                                 shown(node), rule.expected, key, rule.example));
}

void Section::refuse(const std::string& key, const std::string& why) {
  problems_.add(place(key), named(key) + " " + why);
}

std::string Section::required(const std::string& key, const Rule& rule) {
  if (ask(key) == nullptr) {
    missing(key, rule);
    return {};
  }
  return optional(key, rule, {});
}

std::string Section::optional(const std::string& key, const Rule& rule, std::string fallback) {
  const toml::node* node = ask(key);
  if (node == nullptr) return fallback;
  const auto* text = node->as_string();
  if (text != nullptr && rule.accepts(text->get())) return text->get();
  wrong(*node, key, rule);
  return fallback;
}

std::vector<std::string> Section::list(const std::string& key, const Rule& rule,
                                       std::vector<std::string> fallback) {
  const toml::node* node = ask(key);
  if (node == nullptr) return fallback;
  const auto* array = node->as_array();
  if (array == nullptr) {
    wrong(*node, key, {.expected = "a list, each " + rule.expected, .example = rule.example});
    return fallback;
  }
  std::vector<std::string> values;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr || !rule.accepts(text->get())) {
      wrong(element, key, {.expected = "each to be " + rule.expected, .example = rule.example});
    } else if (std::find(values.begin(), values.end(), text->get()) != values.end()) {
      problems_.add(element.source().begin, fmt::format("{} names {} twice", named(key), shown(element)));
    } else {
      values.push_back(text->get());
    }
  }
  return values;
}

bool Section::flag(const std::string& key, bool fallback) {
  const toml::node* node = ask(key);
  if (node == nullptr) return fallback;
  if (const auto* value = node->as_boolean()) return value->get();
  wrong(*node, key, {.expected = "true or false, without quotes", .example = fallback ? "true" : "false"});
  return fallback;
}

std::int64_t Section::integer(const std::string& key, std::int64_t least, std::int64_t most,
                              std::int64_t fallback) {
  const toml::node* node = ask(key);
  if (node == nullptr) return fallback;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() >= least && value->get() <= most) return value->get();
  wrong(*node, key,
        {.expected = fmt::format("a whole number from {} to {}", least, most),
         .example = std::to_string(fallback)});
  return fallback;
}

storage::Duration Section::duration(const std::string& key, storage::Duration least, storage::Duration most,
                                    storage::Duration fallback) {
  const toml::node* node = ask(key);
  if (node == nullptr) return fallback;
  const auto* text = node->as_string();
  const auto value = text != nullptr ? parse_duration(text->get()) : std::nullopt;
  if (value && *value >= least && *value <= most) return *value;
  const std::string expected =
      value ? fmt::format("a duration from {} to {}", in_file_words(least), in_file_words(most))
            : "a duration";
  wrong(*node, key, {.expected = expected, .example = '"' + in_file_words(fallback) + '"'});
  return fallback;
}

Section Section::table(const std::string& key) {
  const toml::node* node = ask(key);
  const toml::table* table = node != nullptr ? node->as_table() : nullptr;
  if (node != nullptr && table == nullptr) {
    problems_.add(node->source().begin,
                  fmt::format("{} is {}; expected a table: [{}]", named(key), shown(*node), named(key)));
  }
  return {problems_, known_, table, named(key), node != nullptr ? node->source().begin : where_};
}

std::vector<Section> Section::tables(const std::string& key) {
  const toml::node* node = ask(key);
  const toml::array* array = node != nullptr ? node->as_array() : nullptr;
  std::vector<Section> sections;
  if (array != nullptr) {
    for (const toml::node& element : *array) {
      if (const auto* table = element.as_table()) {
        sections.emplace_back(problems_, known_, table, named(key), element.source().begin);
      } else {
        problems_.add(element.source().begin,
                      fmt::format("{0} holds {1}; expected tables: [[{0}]]", named(key), shown(element)));
      }
    }
  } else if (node != nullptr) {
    problems_.add(node->source().begin,
                  fmt::format("{0} is {1}; expected one or more tables, with two brackets: "
                              "[[{0}]]",
                              named(key), shown(*node)));
  }
  return sections;
}

void Section::finish() {
  if (table_ == nullptr) return;
  for (auto&& [key, node] : *table_) {
    const std::string name(key.str());
    if (asked_.contains(name)) continue;
    std::string message = named(name) + " is not a known key";
    const std::string nearest = nearest_key(name, asked_);
    if (!nearest.empty()) {
      message += "; did you mean " + nearest + "?";
    } else if (sounds_secret(name)) {
      message += "; secrets don't stand in this file, see secrets_folder";
    } else {
      message += fmt::format("; known here: {}", fmt::join(asked_, ", "));
    }
    problems_.add(key.source().begin, message);
  }
}

}  // namespace keyturn::bot
