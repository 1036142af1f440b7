// The settings that a bot runs on in the sandbox, as the text of its TOML file (deploy/keyturn.example.toml
// explains each key). Pure.
#pragma once

#include <string>
#include <vector>

#include "deploy/sandbox/control.h"

namespace keyturn::sandbox {

struct BotSettings {
  Places places;
  std::string folder;              // where journal and secrets lie
  std::string infisical_identity;  // its client id
  bool quick = false;              // a whole life in about a minute: a grace of 40 s stands for the 24 hours
  std::vector<std::string> further_apps;  // that use the live key too
};

std::string settings_toml(const BotSettings& settings);

}  // namespace keyturn::sandbox
