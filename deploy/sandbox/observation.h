// What somebody sees who looks at every system at once: which key stands where, which keys live, what was
// said in Slack. Keys are named by their ids in the Stripe emulator, which knows them all. Reads the
// emulators' own books, so that a drill is judged by what is, not by what the bot says. Pure.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "deploy/sandbox/slack_world.h"
#include "deploy/sandbox/world.h"

namespace keyturn::sandbox {

struct Said {
  std::string place;  // a channel's id; "only U0ADMIN" for what one person sees
  std::string ts;     // the message
  std::string words;  // one line of it
  auto operator<=>(const Said&) const = default;
};

struct KeyStanding {
  bool alive = false;
  bool ours = false;  // a restricted live key of our account
};

inline constexpr const char* kNoKey = "no key of Stripe";

struct Observation {
  std::string stored;             // in Infisical, prod
  std::string configured;         // in the production app's configuration
  std::set<std::string> running;  // that its dynos were started with
  bool settled = false;           // every dyno is up
  std::map<std::string, KeyStanding> keys;
  std::optional<bool> billing_healthy;  // by its last call to Stripe; nothing: it made none
  std::vector<Said> said;
  bool bot_connected = false;
};

Observation look(const World& world, const SlackWorld& slack);

}  // namespace keyturn::sandbox
