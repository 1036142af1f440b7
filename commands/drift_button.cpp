// "Give it the stored key": the click (what it sets going is in drift_repairs.h), and how drifts get into the
// journal.
#include "commands/commands.h"
#include "commands/views/drift.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

// Empty: it was asked for.
asio::awaitable<std::string> ask_for_repair(Desk& desk, std::string user, std::string id, std::string once) {
  const auto found = desk.drifts.find(id);
  if (found == desk.drifts.end() || found->second.ended || !found->second.offered)
    co_return "This is over; the button no longer does anything.";
  if (found->second.repairing) co_return "The repair goes on already.";
  const auto now = desk.clock.now();
  const json data = {{"id", id}, {"target", found->second.target}, {"app", found->second.app}, {"by", user}};
  storage::Batch batch;
  batch.entries.push_back(
      {.at = now, .rotation = "", .type = std::string(kRepairRequested), .actor = user, .data = data});
  batch.once = std::move(once);
  const auto committed = co_await desk.journal.commit(std::move(batch));
  if (committed.duplicate) co_return "";
  note(desk.drifts, kRepairRequested, data, now);
  if (desk.drifts_changed) desk.drifts_changed();
  co_return "";
}

}  // namespace

asio::awaitable<void> record_drift(Desk& desk, std::string type, json data) {
  const auto now = desk.clock.now();
  storage::Batch batch;
  batch.entries.push_back({.at = now, .rotation = "", .type = type, .actor = "keyturn", .data = data});
  co_await desk.journal.commit(std::move(batch));
  note(desk.drifts, type, data, now);
  if (desk.drifts_changed) desk.drifts_changed();
}

asio::awaitable<void> repair_click(Desk& desk, slack::Click click, std::string once, Tell tell) {
  std::string sentence;
  if (const auto refused = not_allowed(co_await desk.authority.standing(click.user), "do that")) {
    sentence = refused->sentence;
    co_await record_refusal(desk, click.user, "repair button", refused->code, once);
  } else {
    sentence = co_await ask_for_repair(desk, click.user, click.value, once);
  }
  if (!sentence.empty() && !click.response_url.empty()) co_await tell(click.response_url, sentence);
}

}  // namespace keyturn::commands
