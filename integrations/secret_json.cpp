#include "integrations/secret_json.h"

#include <array>
#include <cstdint>
#include <limits>

namespace keyturn::integrations {
namespace {

using storage::Secret;

// A string token of a JSON text: `begin` is its opening quote, `end` one past its closing quote.
struct Token {
  std::size_t begin;
  std::size_t end;
  bool escaped;  // holds a backslash
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::optional<Token> next_string(std::string_view json, std::size_t from) {
  const std::size_t begin = json.find('"', from);
  if (begin == std::string_view::npos) return std::nullopt;
  bool escaped = false;
  for (std::size_t at = begin + 1; at < json.size(); ++at) {
    if (json[at] == '"') return Token{begin, at + 1, escaped};
    if (json[at] == '\\') {
      escaped = true;
      ++at;
    }
  }
  return std::nullopt;  // cut off in the middle of a string
}

std::size_t skip_space(std::string_view json, std::size_t at) {
  while (at < json.size() && is_space(json[at])) ++at;
  return at;
}

// Whether the string that ends at `end` names a member of an object.
bool is_name(std::string_view json, std::size_t end) {
  const std::size_t at = skip_space(json, end);
  return at < json.size() && json[at] == ':';
}

std::string_view content(std::string_view json, const Token& token) {
  return json.substr(token.begin + 1, token.end - token.begin - 2);
}

// The two quotes move together and spaces fill the rest, so that no byte of the value stays and none moves.
void blank(std::string& json, const Token& token) {
  json[token.begin + 1] = '"';
  for (std::size_t at = token.begin + 2; at < token.end; ++at) json[at] = ' ';
}

// The cut-off tail of a torn text can hold half a secret.
void blank_torn_tail(std::string& json, std::size_t from) {
  const std::size_t begin = json.find('"', from);
  if (begin == std::string::npos) return;
  // The quote stays, so that the text stays torn.
  for (std::size_t at = begin + 1; at < json.size(); ++at) json[at] = ' ';
}

std::optional<Secret> decode(std::string_view json, const Token& token) {
  if (!token.escaped) return Secret::copy_of(content(json, token));
  // Keys and tokens hold no escapes; what does (a multi-line value) goes through the parser.
  nlohmann::json value = parse_json(json.substr(token.begin, token.end - token.begin));
  if (!value.is_string()) return std::nullopt;
  return Secret::take(value.get_ref<std::string&>());
}

std::string_view escape_of(char c, std::array<char, 6>& buffer) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    buffer[0] = '\\';
    buffer[1] = c;
    return {buffer.data(), 2};
  }
  if (byte < 0x20) {
    buffer = {'\\', 'u', '0', '0', kHex[byte >> 4U], kHex[byte & 0xFU]};
    return {buffer.data(), 6};
  }
  buffer[0] = c;
  return {buffer.data(), 1};
}

void append_escaped(std::string& out, std::string_view text) {
  std::array<char, 6> buffer{};
  for (const char c : text) out.append(escape_of(c, buffer));
}

}  // namespace

std::optional<Secret> take_string(std::string& json, std::string_view key) {
  std::optional<Secret> taken;
  int found = 0;
  std::size_t at = 0;
  while (auto name = next_string(json, at)) {
    at = name->end;
    if (!is_name(json, name->end) || content(json, *name) != key) continue;
    const std::size_t value_at = skip_space(json, skip_space(json, name->end) + 1);
    if (value_at >= json.size() || json[value_at] != '"') continue;
    const auto value = next_string(json, value_at);
    if (!value) break;
    if (++found == 1) taken = decode(json, *value);
    blank(json, *value);
    at = value->end;
  }
  blank_torn_tail(json, at);
  if (found != 1) return std::nullopt;
  return taken;
}

void blank_strings(std::string& json) {
  std::size_t at = 0;
  while (auto token = next_string(json, at)) {
    if (!is_name(json, token->end)) blank(json, *token);
    at = token->end;
  }
  blank_torn_tail(json, at);
}

Secret json_with_secrets(const nlohmann::json& fields,
                         const std::vector<std::pair<std::string, const Secret*>>& secrets) {
  const std::string open =
      fields.empty() ? "{" : fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::size_t longest = open.size() + 2;
  for (const auto& [name, secret] : secrets) longest += 6 * (name.size() + secret->size()) + 8;

  std::string text;
  text.reserve(longest);  // no growth, so no copy is left in freed memory
  text = open;
  if (!fields.empty()) text.pop_back();
  for (const auto& [name, secret] : secrets) {
    text.append(text.size() > 1 ? ",\"" : "\"");
    append_escaped(text, name);
    text.append("\":\"");
    append_escaped(text, secret->expose());
    text.append("\"");
  }
  text.append("}");
  return Secret::take(text);
}

nlohmann::json parse_json(std::string_view text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

const nlohmann::json& value_at(const nlohmann::json& object, std::string_view key) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string string_at(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& value = value_at(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<int> int_at(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& value = value_at(object, key);
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.get<std::int64_t>();
  const bool unsigned_overflow = value.is_number_unsigned() && number < 0;
  if (unsigned_overflow || number < std::numeric_limits<int>::min() ||
      number > std::numeric_limits<int>::max()) {
    return std::nullopt;
  }
  return static_cast<int>(number);
}

bool true_at(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& value = value_at(object, key);
  return value.is_boolean() && value.get<bool>();
}

}  // namespace keyturn::integrations
