// Recorded answers of a real Infisical server (self-hosted, July 2026), with every value replaced by a
// placeholder.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "integrations/net/message.h"

namespace keyturn::test {

inline net::Response sample(const std::string& name) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "samples" / (name + ".json");
  std::ifstream file(path);
  if (!file) throw std::runtime_error("no sample " + path.string());
  const nlohmann::json recorded = nlohmann::json::parse(file);
  return {recorded["status"].get<int>(), {}, recorded["body"].dump()};
}

// The sample with one member of its "secret" (or of its body) changed.
inline net::Response changed_secret(const std::string& name, const std::string& member,
                                    const nlohmann::json& value) {
  net::Response response = sample(name);
  nlohmann::json body = nlohmann::json::parse(response.body);
  body["secret"][member] = value;
  return {response.status, {}, body.dump()};
}

}  // namespace keyturn::test
