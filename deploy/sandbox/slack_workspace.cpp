#include "deploy/sandbox/slack_workspace.h"

#include "deploy/sandbox/slack_blocks.h"

namespace keyturn::sandbox {
namespace {

constexpr std::size_t kLongestText = 40'000;

}  // namespace

std::string post(Workspace& workspace, Conversation& conversation, Message message) {
  message.at = workspace.clock.now();
  message.ts = workspace.conversations.next_ts(message.at);
  if (message.text.size() > kLongestText) message.text.resize(kLongestText);
  name_unnamed_blocks(message.blocks, std::hash<std::string>()(message.ts));
  auto& list = message.only_for.empty() ? conversation.messages : conversation.ephemerals;
  list.push_back(std::move(message));
  return list.back().ts;
}

std::string text_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace keyturn::sandbox
