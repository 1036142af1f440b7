// /rotate audit <provider> <environment> [page]: the evidence of the last completed rotation, and what the
// journal holds about the newest one: types, times and actors. `keyturn audit export` has the rest.
#include <spdlog/fmt/fmt.h>
#include <algorithm>

#include "commands/commands.h"
#include "commands/views/approval.h"
#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using rotation::State;
using views::escape;

namespace {

constexpr std::size_t kPage = 30;

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) return "unknown";
  return escape(found->is_string() ? found->get<std::string>() : found->dump());
}

std::string evidence(const State& s) {
  const json& context = s.completed->event.context;
  std::string approval = views::approved_in_words(s, rotation::kOfRotation);
  if (!approval.empty()) approval.insert(0, ", ");
  std::string text = fmt::format(
      "*Last completed: {}* by {}{}.\nNew key `{}`, old key `{}`, which {}.\nInfisical "
      "version {} (was "
      "{}), request `{}`.\n",
      text_of(context, "completed_at"), views::mention(s.operator_id),
      (s.compromise ? ", after a suspected leak" : "") + approval, text_of(context, "new_key_fingerprint"),
      text_of(context, "old_key_fingerprint"),
      s.recovery() ? "was dead before (a recovery)"
                   : "expired or expires " + text_of(context, "old_key_expires_at"),
      text_of(context.value("infisical", json::object()), "version"),
      text_of(context.value("infisical", json::object()), "previous_version"),
      text_of(context.value("infisical", json::object()), "request_id"));
  for (const json& consumer : context.value("consumers", json::array())) {
    text += fmt::format("{}: release v{} on {} dynos, request `{}`; log watched {} ms, {} failures.\n",
                        text_of(consumer, "app"), text_of(consumer, "release"), text_of(consumer, "dynos"),
                        text_of(consumer, "request_id"),
                        text_of(consumer.value("log_watch", json::object()), "watched_ms"),
                        text_of(consumer.value("log_watch", json::object()), "failures"));
  }
  for (const json& scope : context.value("scopes", json::array())) {
    text += fmt::format("{}: {} {} (`{}`)\n", text_of(scope, "endpoint"), text_of(scope, "status"),
                        text_of(scope, "answer"), text_of(scope, "request_id"));
  }
  return text + (s.proven_dead_at
                     ? "The old key was proven dead " + storage::to_iso8601(*s.proven_dead_at) + ".\n"
                     : "*The old key is not proven dead.*\n");
}

std::string line_of(const storage::Entry& entry) {
  const bool person = entry.actor.starts_with('U') || entry.actor.starts_with('W');
  return fmt::format("{}  {}. `{}`  {}\n", storage::to_iso8601(entry.at), entry.sequence, escape(entry.type),
                     person ? views::mention(entry.actor) : escape(entry.actor));
}

// Where it stands between the first and the last, whoever asks for a page that isn't there.
std::string journal_page(std::vector<storage::Entry> entries, const std::string& name, int wanted) {
  // Bookkeeping of messages and attempts, which says nothing to a person.
  std::erase_if(entries, [](const auto& entry) {
    return entry.type.starts_with("secret.rotate.message.") || entry.type == "secret.rotate.action.started";
  });
  const std::size_t pages = std::max<std::size_t>(1, (entries.size() + kPage - 1) / kPage);
  const std::size_t page = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(wanted, 1)), 1, pages);
  std::string text = fmt::format("*Journal*, page {} of {}:\n", page, pages);
  const std::size_t end = std::min(entries.size(), page * kPage);
  for (std::size_t i = (page - 1) * kPage; i < end; ++i) text += line_of(entries[i]);
  if (page < pages) text += fmt::format("`/rotate audit {} {}` goes on. ", name, page + 1);
  return text +
         "`keyturn audit export` on the bot's machine has every entry whole, `keyturn audit verify` checks "
         "the chain.";
}

}  // namespace

asio::awaitable<json> audit(Desk& desk, AuditCommand command, slack::SlashCommand from, std::string once) {
  const std::string name = command.provider + " " + command.environment;
  if (const auto refused =
          not_allowed(co_await desk.authority.standing(from.user), "read the journal here")) {
    co_await record_refusal(desk, from.user, "/rotate audit " + name, refused->code, once);
    co_return only_you(refused->sentence);
  }
  std::shared_ptr<const State> newest, completed;
  for (const auto& state : desk.runner.of(name)) {
    if (!newest) newest = state;
    if (!completed && state->completed) completed = state;
  }
  if (!newest) {
    if (const auto unknown = no_such_target(desk, command.provider, command.environment, "audit"))
      co_return only_you(*unknown);
    co_return only_you(fmt::format("Keyturn has never rotated {}.", escape(name)));
  }
  std::string text = completed ? evidence(*completed) : "No rotation of this key was ever completed.\n";
  if (newest != completed) {
    text +=
        fmt::format("*The newest one*, `{}`, started {} by {}{}.\n", newest->id,
                    storage::to_iso8601(newest->started_at), views::mention(newest->started_by()),
                    newest->closed ? ", ended " + escape(newest->closed->event.outcome) : " and is going on");
  }
  text += journal_page(co_await desk.journal.entries_of(newest->id), escape(name), command.page);
  co_return only_you(text);
}

}  // namespace keyturn::commands
