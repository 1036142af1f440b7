#include "commands/commands.h"

#include "commands/views/blocks.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;

json only_you(const std::string& text) { return {{"response_type", "ephemeral"}, {"text", text}}; }

asio::awaitable<void> record_refusal(Desk& desk, std::string user, std::string what, std::string code,
                                     std::string once) {
  storage::Batch batch;
  batch.entries.push_back({.at = desk.clock.now(),
                           .rotation = "",
                           .type = std::string(kCommandRefused),
                           .actor = user,
                           .data = {{"command", what}, {"code", code}}});
  batch.once = std::move(once);
  co_await desk.journal.commit(std::move(batch));
}

asio::awaitable<json> handle(Desk& desk, slack::SlashCommand command, std::string once) {
  // Another app, or another workspace: not ours to answer.
  if (command.app != desk.app || command.team != desk.team) {
    co_await record_refusal(desk, command.user, command.command, "foreign_workspace", once);
    co_return only_you("This command belongs to another workspace.");
  }
  const CommandLine line = read_command_line(command.text);
  storage::wipe(command.text);  // may hold a credential, and nobody needs it any more
  if (const auto* pasted = std::get_if<HoldsCredential>(&line); pasted && pasted->master) {
    co_await record_refusal(desk, command.user, command.command, "master_key_in_command", once);
    if (desk.master_key_seen)
      desk.master_key_seen("pasted into a slash command by " + views::mention(command.user), once);
    co_return only_you(
        "*That looks like the account's master key, pasted into Slack.* Keyturn has not kept it, but Slack "
        "has seen "
        "it: treat it as leaked and roll it in the dashboard *now*. The team is told. Only the restricted "
        "key goes "
        "anywhere, and only into the one-time form.");
  }
  if (std::holds_alternative<HoldsCredential>(line)) {
    co_await record_refusal(desk, command.user, command.command, "credential_in_command", once);
    co_return only_you(
        "*That looks like a key, pasted into Slack.* Keyturn has not kept it, but Slack has seen it: treat "
        "it as leaked.\n"
        "Expire it in the dashboard, or start `/rotate stripe prod --compromise`. Keys go into the one-time "
        "form only.");
  }
  if (const auto* rotation = std::get_if<RotateCommand>(&line)) {
    co_return co_await rotate(desk, *rotation, command, once);
  }
  if (const auto* cancelled = std::get_if<CancelCommand>(&line)) {
    co_return co_await cancel(desk, *cancelled, command, once);
  }
  if (const auto* back = std::get_if<RollbackCommand>(&line)) {
    co_return co_await rollback(desk, *back, command, once);
  }
  if (const auto* passed = std::get_if<HandOverCommand>(&line)) {
    co_return co_await hand_over(desk, *passed, command, once);
  }
  if (const auto* expire = std::get_if<ExpireNowCommand>(&line)) {
    co_return co_await expire_now(desk, *expire, command, once);
  }
  if (const auto* wanted = std::get_if<AuditCommand>(&line)) {
    co_return co_await audit(desk, *wanted, command, once);
  }
  if (const auto* leaver = std::get_if<OffboardCommand>(&line)) {
    co_return co_await offboard(desk, *leaver, command, once);
  }
  if (std::holds_alternative<StatusCommand>(line)) co_return status(desk);
  if (std::holds_alternative<DueCommand>(line)) co_return due(desk);
  if (const auto* unclear = std::get_if<NotUnderstood>(&line)) {
    co_return only_you(views::escape(unclear->why) + " `/rotate help` shows everything.");
  }
  co_return co_await help(desk, command.user);
}

}  // namespace keyturn::commands
