// The two things that Slack hands out with an interaction and that wear out: trigger ids (3 seconds, one use)
// and response URLs (30 minutes, five uses). Source: docs.slack.dev/interactivity/handling-user-interaction.
// Pure: the time comes as a parameter.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "storage/clock.h"

namespace keyturn::sandbox {

class Triggers {
 public:
  std::string mint(storage::TimePoint now);
  // Empty when the trigger was good and is now spent; else Slack's error word.
  std::string spend(const std::string& id, storage::TimePoint now);

 private:
  struct Trigger {
    storage::TimePoint minted;
    bool spent = false;
  };
  std::map<std::string, Trigger> triggers_;
  std::uint64_t next_ = 1;
};

// What a response URL may still change: where the interaction happened, and the message it came from, if one
// did.
struct ResponsePlace {
  std::string channel, user;
  std::string message_ts;  // empty for a slash command
  bool ephemeral = false;  // the original was shown to `user` only
};

class ResponseUrls {
 public:
  // A path: "/commands/T0RAXX/1/k3v9q2xd".
  std::string mint(const std::string& family, ResponsePlace place, storage::TimePoint now);
  struct Use {
    std::string error;  // empty: go ahead at `place`
    ResponsePlace place;
  };
  Use use(const std::string& path, storage::TimePoint now);

 private:
  struct Url {
    ResponsePlace place;
    storage::TimePoint minted;
    int uses = 0;
  };
  std::map<std::string, Url> urls_;
};

}  // namespace keyturn::sandbox
