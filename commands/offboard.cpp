// /rotate offboard @person [--compromise]: every target that person touched, as one board in the channel,
// with a button for each; and those buttons. Who leaves can't be the operator of what is rotated because of
// it.
#include <spdlog/fmt/fmt.h>

#include "commands/commands.h"
#include "commands/views/blocks.h"
#include "commands/views/board.h"
#include "storage/ids.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using views::mention;

namespace {

std::string place_of(const Campaign& campaign) {
  if (campaign.link.empty()) return fmt::format("its board stands in <#{}>", campaign.channel);
  return fmt::format("<{}|its board>", campaign.link);
}

std::string open_already(const Campaign& campaign) {
  return fmt::format(
      "The offboarding of {} is open already, asked for by {} at {}: {}. Nothing new was begun.",
      mention(campaign.person), mention(campaign.by), views::date(campaign.started_at), place_of(campaign));
}

std::string nothing_to_do(const std::string& person, const std::vector<BoardRow>& rows) {
  if (rows.empty())
    return fmt::format("By what the journal says, no key passed through the hands of {}. Nothing was begun.",
                       mention(person));
  std::string text = fmt::format("No key that {} may know is alive, so nothing was begun:", mention(person));
  for (const BoardRow& row : rows) text += fmt::format("\n*{}*: {}", views::escape(row.target), row.words);
  return text;
}

std::string begun(const Campaign& campaign, std::size_t needless, bool superadmin) {
  std::string text = fmt::format("The board stands in <#{}>: {} targets that {} touched", campaign.channel,
                                 campaign.targets.size(), mention(campaign.person));
  if (needless > 0) text += fmt::format(", {} of which need nothing", needless);
  text += ". Nothing changes before somebody presses *Rotate*.";
  if (superadmin)
    text += fmt::format(" *{} is still a superadmin*: take them out of the settings or the user group now.",
                        mention(campaign.person));
  return text;
}

std::string new_campaign_id(storage::TimePoint now) {
  return "off" + storage::new_rotation_id(now).substr(3);
}

// How many there have been of that person: two commands at once must not open two.
std::size_t campaigns_so_far(const Campaigns& campaigns, const std::string& person) {
  return static_cast<std::size_t>(
      std::ranges::count_if(campaigns, [&](const auto& entry) { return entry.second.person == person; }));
}

asio::awaitable<bool> write(Desk& desk, std::string_view type, json data, std::string actor,
                            std::string once) {
  const auto now = desk.clock.now();
  storage::Batch batch;
  batch.entries.push_back(
      {.at = now, .rotation = "", .type = std::string(type), .actor = std::move(actor), .data = data});
  batch.once = std::move(once);
  const auto committed = co_await desk.journal.commit(std::move(batch));
  if (committed.duplicate) co_return false;
  note(desk.campaigns, type, data, now);
  if (desk.campaigns_changed) desk.campaigns_changed();
  co_return true;
}

}  // namespace

asio::awaitable<json> offboard(Desk& desk, OffboardCommand command, slack::SlashCommand from,
                               std::string once) {
  const std::string what = "/rotate offboard " + command.person;
  if (const auto refused = not_allowed(co_await desk.authority.standing(from.user), "offboard somebody")) {
    co_await record_refusal(desk, from.user, what, refused->code, once);
    co_return only_you(refused->sentence);
  }
  if (command.person == from.user) {
    co_await record_refusal(desk, from.user, what, "oneself", once);
    co_return only_you("You can't offboard yourself: another superadmin has to. Nothing was begun.");
  }
  if (const Campaign* open = campaign_of(desk.campaigns, command.person))
    co_return only_you(open_already(*open));
  const Rotations rotations = desk.runner.all();
  const Facts facts{.rotations = rotations, .targets = desk.targets, .seen = desk.seen};
  Campaign campaign{.id = new_campaign_id(desk.clock.now()),
                    .person = command.person,
                    .by = from.user,
                    .channel = desk.channel,
                    .targets = in_order(command.person, facts),
                    .compromise = command.compromise,
                    .started_at = desk.clock.now(),
                    .ts = {},
                    .finished_at = {},
                    .ended_by = {}};
  const auto rows = rows_of(campaign, facts);
  const auto needless =
      static_cast<std::size_t>(std::ranges::count(rows, RowState::not_needed, &BoardRow::state));
  if (needless == rows.size()) {
    co_await write(desk, "offboard.not_needed", {{"person", command.person}, {"targets", campaign.targets}},
                   from.user, once);
    co_return only_you(nothing_to_do(command.person, rows));
  }
  const std::string unique =
      fmt::format("offboard {} {}", command.person, campaigns_so_far(desk.campaigns, command.person));
  if (!co_await write(desk, kOffboardStarted, started_data(campaign), from.user, unique)) {
    const Campaign* open = campaign_of(desk.campaigns, command.person);
    co_return only_you(open_already(open != nullptr ? *open : campaign));
  }
  const bool superadmin = co_await desk.authority.standing(command.person) == Standing::superadmin;
  co_return only_you(begun(campaign, needless, superadmin));
}

std::string leaver_objection(const Desk& desk, const std::string& person) {
  if (campaign_of(desk.campaigns, person) == nullptr) return {};
  return fmt::format("{} is being offboarded: somebody else has to do that.", mention(person));
}

namespace {

asio::awaitable<std::string> begin_rotation(Desk& desk, std::string user, std::string id, std::string target,
                                            std::string once) {
  const auto found = desk.campaigns.find(id);
  if (found == desk.campaigns.end() || !found->second.open() || !found->second.holds(target))
    co_return "This offboarding is over; the button no longer does anything.";
  const auto space = target.find(' ');
  const RotateCommand command{
      .provider = target.substr(0, space),
      .environment = target.substr(space + 1),
      .compromise = found->second.compromise,
      .reason = found->second.compromise ? "offboarding of " + found->second.person : std::string()};
  const Rotations rotations = desk.runner.all();
  const Facts facts{.rotations = rotations, .targets = desk.targets, .seen = desk.seen};
  if (!row_of(found->second, target, facts).startable &&
      !desk.runner.live(command.provider, command.environment))
    co_return "Nothing is to be rotated there any more.";
  co_return co_await start_rotation(desk, command, std::move(user), std::move(once));
}

asio::awaitable<std::string> end_campaign(Desk& desk, std::string user, std::string id, std::string once) {
  const auto found = desk.campaigns.find(id);
  if (found == desk.campaigns.end() || !found->second.open())
    co_return "This offboarding is over; the button no longer does anything.";
  if (found->second.person == user) {
    co_await record_refusal(desk, user, "offboard button", "leaver", once);
    co_return "You are the one who leaves: another superadmin has to end this.";
  }
  co_await write(desk, kOffboardEnded, {{"id", id}, {"by", user}}, user, "ended " + id);
  co_return "";
}

}  // namespace

asio::awaitable<void> offboard_click(Desk& desk, slack::Click click, std::string once, Tell tell) {
  std::string sentence;
  const auto slash = click.value.find('/');
  const std::string id = click.value.substr(0, slash);
  if (const auto refused = not_allowed(co_await desk.authority.standing(click.user), "do that")) {
    sentence = refused->sentence;
    co_await record_refusal(desk, click.user, "offboard button", refused->code, once);
  } else if (click.action_id == views::kOffboardEnd) {
    sentence = co_await end_campaign(desk, click.user, id, once);
  } else if (slash != std::string::npos) {
    sentence = co_await begin_rotation(desk, click.user, id, click.value.substr(slash + 1), once);
  }
  if (!sentence.empty() && !click.response_url.empty()) co_await tell(click.response_url, sentence);
}

}  // namespace keyturn::commands
