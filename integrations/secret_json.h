// Secrets in and out of JSON without leaving copies behind. A general parser keeps what it reads in buffers
// that nobody wipes, so a secret is cut out of the text first, in place, and only the rest is parsed; and a
// body that carries a secret is written straight into locked memory. Thread: any. None of these throws for
// what the text holds; broken JSON is left for the parser to refuse.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/secret.h"

namespace keyturn::integrations {

// Takes the string value under `key`, at any depth, out of `json`: the text then says `"key":""` there.
// Nothing when there is no such string, or more than one (which of them is meant can't be told; all are
// blanked).
std::optional<storage::Secret> take_string(std::string& json, std::string_view key);

// Makes every string value in `json` empty; names, numbers, booleans, nulls and the shape stay.
void blank_strings(std::string& json);

// `fields` (an object) as JSON text, with these strings added to it. The values must be UTF-8.
storage::Secret json_with_secrets(const nlohmann::json& fields,
                                  const std::vector<std::pair<std::string, const storage::Secret*>>& secrets);

// JSON that never throws: a discarded value for anything that isn't JSON.
nlohmann::json parse_json(std::string_view text);

// The string under `key`; empty when `object` isn't an object, or has no string there.
std::string string_at(const nlohmann::json& object, std::string_view key);
std::optional<int> int_at(const nlohmann::json& object, std::string_view key);
bool true_at(const nlohmann::json& object, std::string_view key);
// The value under `key`, or null.
const nlohmann::json& value_at(const nlohmann::json& object, std::string_view key);

}  // namespace keyturn::integrations
