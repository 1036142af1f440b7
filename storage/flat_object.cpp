#include "storage/flat_object.h"

#include <charconv>

namespace keyturn::storage {

namespace {

constexpr std::size_t kMostMembers = 16;

// A text of decoded bytes that is wiped whatever happens.
class WipedText {
 public:
  explicit WipedText(std::size_t capacity) {
    text_.reserve(capacity);
  }  // so that it never moves and leaves a copy
  ~WipedText() { storage::wipe(text_); }
  WipedText(const WipedText&) = delete;
  WipedText& operator=(const WipedText&) = delete;
  void add(char c) { text_.push_back(c); }
  void add_utf8(std::uint32_t point);
  const std::string& text() const { return text_; }
  storage::Secret take() { return storage::Secret::take(text_); }

 private:
  void add_byte(std::uint32_t byte) { text_.push_back(static_cast<char>(static_cast<unsigned char>(byte))); }
  std::string text_;
};

void WipedText::add_utf8(std::uint32_t point) {
  if (point < 0x80) {
    add_byte(point);
  } else if (point < 0x800) {
    add_byte(0xC0 | point >> 6);
    add_byte(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    add_byte(0xE0 | point >> 12);
    add_byte(0x80 | (point >> 6 & 0x3F));
    add_byte(0x80 | (point & 0x3F));
  } else {
    add_byte(0xF0 | point >> 18);
    add_byte(0x80 | (point >> 12 & 0x3F));
    add_byte(0x80 | (point >> 6 & 0x3F));
    add_byte(0x80 | (point & 0x3F));
  }
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool at_end() {
    skip_space();
    return rest_.empty();
  }

  bool at_string() {
    skip_space();
    return rest_.starts_with('"');
  }

  std::size_t left() const { return rest_.size(); }

  bool string(WipedText& into) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = next();
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        into.add(c);
      } else if (!escape(into)) {
        return false;
      }
    }
    return false;
  }

  std::optional<std::int64_t> integer() {
    skip_space();
    const bool negative = rest_.starts_with('-');
    const std::string_view digits = rest_.substr(negative ? 1 : 0);
    if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{}) return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    // "1.5" and "1e3" end in what no comma or brace can follow, so that the caller refuses them.
    return value;
  }

 private:
  char next() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void skip_space() {
    const auto first = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }

  bool escape(WipedText& into) {
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (rest_.empty()) return false;
    const char name = next();
    if (name == 'u') return code_point(into);
    const auto which = kNames.find(name);
    if (which == std::string_view::npos) return false;
    into.add(kMeanings[which]);
    return true;
  }

  std::optional<std::uint32_t> four_hex_digits() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, value, 16);
    if (error != std::errc{} || end != rest_.data() + 4) return std::nullopt;
    rest_.remove_prefix(4);
    return value;
  }

  // After "\u": one code unit, or the two of a surrogate pair.
  bool code_point(WipedText& into) {
    const auto high = four_hex_digits();
    if (!high || (*high >= 0xDC00 && *high <= 0xDFFF)) return false;
    if (*high < 0xD800 || *high > 0xDBFF) {
      into.add_utf8(*high);
      return true;
    }
    if (!rest_.starts_with("\\u")) return false;
    rest_.remove_prefix(2);
    const auto low = four_hex_digits();
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
    into.add_utf8(0x10000 + ((*high - 0xD800) << 10) + (*low - 0xDC00));
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<FlatObject> FlatObject::parse(std::string_view text) {
  Scanner scanner(text);
  FlatObject object;
  if (!scanner.take('{')) return std::nullopt;
  if (scanner.take('}')) return scanner.at_end() ? std::optional(std::move(object)) : std::nullopt;
  do {
    // A member takes at most the bytes that are left: the escapes of JSON only shrink.
    WipedText name(scanner.left());
    if (!scanner.string(name) || !scanner.take(':')) return std::nullopt;
    if (object.members_.size() == kMostMembers || object.members_.contains(name.text())) return std::nullopt;
    if (scanner.at_string()) {
      WipedText value(scanner.left());
      if (!scanner.string(value)) return std::nullopt;
      object.members_.emplace(name.text(), value.take());
    } else if (const auto number = scanner.integer()) {
      object.members_.emplace(name.text(), *number);
    } else {
      return std::nullopt;
    }
  } while (scanner.take(','));
  if (!scanner.take('}') || !scanner.at_end()) return std::nullopt;
  return object;
}

std::optional<storage::Secret> FlatObject::take_text(std::string_view name) {
  const auto member = members_.find(name);
  if (member == members_.end()) return std::nullopt;
  auto* text = std::get_if<storage::Secret>(&member->second);
  if (text == nullptr) return std::nullopt;
  return std::move(*text);
}

std::optional<std::int64_t> FlatObject::integer(std::string_view name) const {
  const auto member = members_.find(name);
  if (member == members_.end()) return std::nullopt;
  const auto* number = std::get_if<std::int64_t>(&member->second);
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

}  // namespace keyturn::storage
