#include "commands/offboarding.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "commands/views/board.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;
using storage::Duration;

namespace {

constexpr Duration kBetweenLooks = std::chrono::seconds(1);  // Slack's pace for edits, too
constexpr Duration kAfterSlackTrouble = std::chrono::seconds(5);

}  // namespace

Offboarding::Offboarding(const asio::any_io_executor& io, Desk& desk, SlackDesk& slack, Trouble trouble)
    : desk_(desk),
      slack_(slack),
      trouble_(std::move(trouble)),
      wake_(io, asio::steady_timer::time_point::max()) {
  desk_.campaigns_changed = [this] { changed(); };
}

void Offboarding::load(const std::vector<storage::Entry>& entries) {
  for (const auto& entry : entries) {
    if (entry.rotation.empty() && entry.type.starts_with("offboard."))
      note(desk_.campaigns, entry.type, json::parse(entry.data), entry.at);
  }
}

void Offboarding::changed() {
  dirty_ = true;
  wake_.cancel();
}

asio::awaitable<void> Offboarding::run() {
  for (;;) {
    dirty_ = false;
    bool trouble = false;
    const Campaigns campaigns = desk_.campaigns;  // the commands may add to them meanwhile
    for (const auto& [id, campaign] : campaigns) {
      if (campaign.settled) continue;
      std::string why;
      try {
        co_await attend(id);
      } catch (const std::exception& error) {
        why = error.what();
      }
      if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
      trouble = trouble || !why.empty();
      if (!why.empty() && trouble_) trouble_("board of " + id, why);
    }
    co_await net::sleep_for(trouble ? kAfterSlackTrouble : kBetweenLooks);
    if (!trouble && !dirty_) co_await wait(storage::kLongestSleep);
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

asio::awaitable<void> Offboarding::wait(Duration longest) {
  wake_.expires_after(longest);
  boost::system::error_code ignored;
  co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// One board: in Slack, as its rows are; its end in the journal before the board says so.
asio::awaitable<void> Offboarding::attend(std::string id) {
  const Rotations rotations = desk_.runner.all();
  const Facts facts_now{.rotations = rotations, .targets = desk_.targets, .seen = desk_.seen};
  auto rows = rows_of(desk_.campaigns.at(id), facts_now);
  if (desk_.campaigns.at(id).open() && finished(rows)) {
    co_await write(std::string(kOffboardFinished), {{"id", id}, {"proven", proven(rows)}}, "finished " + id);
    rows = rows_of(desk_.campaigns.at(id), facts_now);
  }
  const Campaign campaign = desk_.campaigns.at(id);
  auto message = views::board(campaign, rows);
  const std::size_t content = std::hash<std::string>{}(message.blocks.dump());
  if (const auto refused = refused_.find(id); refused != refused_.end() && refused->second == content)
    co_return;
  try {
    co_await bring(campaign, std::move(message), content);
  } catch (const integrations::ApiError& error) {
    // What Slack will always refuse must not be asked of it every few seconds.
    if (error.can_retry() || error.failure() == integrations::Failure::ambiguous) throw;
    refused_[id] = content;
    if (trouble_) trouble_("board of " + id, error.what());
  }
}

asio::awaitable<void> Offboarding::bring(Campaign campaign, views::Message message, std::size_t content) {
  const std::string id = campaign.id;
  if (campaign.ts.empty()) {
    // It may be there, its answer lost.
    auto ts = co_await slack_.find(campaign.channel, id, "");
    const bool there = ts.has_value();
    if (!there) ts = co_await slack_.post(campaign.channel, std::move(message), "");
    if (!there) sent_[id] = content;
    const std::string link = co_await link_to(campaign.channel, *ts);
    co_await write(std::string(kBoardPosted),
                   {{"id", id}, {"channel", campaign.channel}, {"ts", *ts}, {"link", link}}, "posted " + id);
    if (there || !campaign.open()) changed();
    co_return;
  }
  if (sent_[id] != content) {
    co_await slack_.update(campaign.channel, campaign.ts, std::move(message));
    sent_[id] = content;
  }
  if (!campaign.open()) co_await write(std::string(kBoardSettled), {{"id", id}}, "settled " + id);
}

// The board is there all the same.
asio::awaitable<std::string> Offboarding::link_to(std::string channel, std::string ts) {
  try {
    co_return co_await slack_.link_to(std::move(channel), std::move(ts));
  } catch (const integrations::ApiError&) {
    co_return "";
  }
}

asio::awaitable<void> Offboarding::write(std::string type, json data, std::string once) {
  const auto now = desk_.clock.now();
  storage::Batch batch;
  batch.entries.push_back({.at = now, .rotation = "", .type = type, .actor = "keyturn", .data = data});
  batch.once = std::move(once);
  co_await desk_.journal.commit(std::move(batch));
  note(desk_.campaigns, type, data, now);
}

}  // namespace keyturn::commands
