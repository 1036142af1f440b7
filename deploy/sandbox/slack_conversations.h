// The channels and direct messages of the workspace, with what was said in them.
// Pure: times and ids come from the caller.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "storage/clock.h"

namespace keyturn::sandbox {

struct Message {
  std::string ts;
  std::string user;    // who said it
  std::string bot_id;  // set: an app said it
  std::string text;
  nlohmann::json blocks = nlohmann::json::array();
  nlohmann::json metadata;                         // null: none
  std::optional<bool> unfurl_links, unfurl_media;  // as sent
  std::string only_for;                            // set: ephemeral, seen by this person
  std::string thread_ts;
  int edits = 0;
  storage::TimePoint at;
};

struct Conversation {
  std::string id;
  std::string name;
  std::string with;  // set: a direct message between the bot and this person
  bool archived = false;
  bool bot_is_member = true;
  std::vector<std::string> members;
  std::deque<Message> messages;    // as everybody sees them
  std::deque<Message> ephemerals;  // for one person each

  bool is_direct() const { return !with.empty(); }
  Message* find(const std::string& ts);
  Message* find_ephemeral(const std::string& ts);
};

class Conversations {
 public:
  Conversations();
  Conversation* find(const std::string& id);
  const std::map<std::string, Conversation>& all() const { return conversations_; }
  Conversation& direct_with(const std::string& user);

  // Unique in the workspace, and later than every one before: "1503435956.000247".
  std::string next_ts(storage::TimePoint now);

 private:
  std::map<std::string, Conversation> conversations_;
  std::int64_t last_ts_ = 0;  // microseconds
};

// As the Web API and the interaction payloads show a message.
nlohmann::json message_object(const Message& message, bool with_metadata);
// As the control server shows it: everything.
nlohmann::json message_state(const Message& message);
nlohmann::json conversation_state(const Conversation& conversation);
// As conversations.info shows it.
nlohmann::json conversation_object(const Conversation& conversation);

}  // namespace keyturn::sandbox
