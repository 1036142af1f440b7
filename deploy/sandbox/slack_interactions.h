// Builds what Slack sends when a person does something: a slash command, a click or a tick in a message or
// home tab, a submitted modal, an event. Shapes as in docs.slack.dev and in the envelopes that the official
// SDKs test with. Failure: std::invalid_argument, in words, when the wish names something that isn't there.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "deploy/sandbox/slack_workspace.h"

namespace keyturn::sandbox {

struct Interaction {
  std::string type;  // of the envelope
  nlohmann::json payload;
  bool accepts_response_payload = false;
};

class Interactions {
 public:
  explicit Interactions(Workspace& workspace) : workspace_(workspace) {}
  void set_origin(std::string origin) { origin_ = std::move(origin); }

  // {"user","channel","text"[,"command"]}
  Interaction command(const nlohmann::json& wish);
  // {"user","channel","ts","action_id"[,"block_id","value","state"]}; in a home tab
  // {"user","home":true,"action_id"}. "state" is what stands in the message's inputs: {block_id: {action_id:
  // ["value", ...] | "text"}}. What was given is remembered for the person and the message, as Slack's client
  // does.
  Interaction click(const nlohmann::json& wish);
  // {"user","view_id","values"}
  Interaction submit(const nlohmann::json& wish);
  // {"user"}: opens the bot's home tab.
  Interaction home(const nlohmann::json& wish);
  // {"user","channel","text"}: says something where the bot listens (a direct message).
  Interaction say(const nlohmann::json& wish);
  // {"user","set":{"deleted":true}}: changes a person, and tells.
  Interaction change_person(const nlohmann::json& wish);

  // The channel that a wish names; a direct message comes to be when it is named.
  Conversation& conversation_of(const nlohmann::json& wish);

 private:
  const Person& person_of(const nlohmann::json& wish);
  std::string with_mentions(std::string text) const;
  nlohmann::json common(const char* type, const Person& person);
  Interaction event(nlohmann::json inner);
  Interaction home_click(const nlohmann::json& wish, const Person& person);
  std::string response_url(const char* family, ResponsePlace place);

  Workspace& workspace_;
  std::string origin_;
  int events_ = 0;
};

// The block and the element with that action_id (and block_id, where one is given); both null when there is
// none.
struct FoundElement {
  const nlohmann::json* block = nullptr;
  const nlohmann::json* element = nullptr;
};
FoundElement find_element(const nlohmann::json& blocks, const std::string& action, const std::string& block);

// state.values for `blocks`: what is in `given` (see click), else what the blocks start with.
nlohmann::json state_values(const nlohmann::json& blocks, const nlohmann::json& given);

}  // namespace keyturn::sandbox
