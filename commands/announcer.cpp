#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "commands/slack_desk.h"
#include "integrations/error.h"
#include "integrations/net/within.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using integrations::ApiError;
using integrations::Failure;
using rotation::Event;
using rotation::State;
using storage::Duration;

namespace {
constexpr Duration kBetweenEdits =
    std::chrono::seconds(1);  // Slack's pace: about one message a second in a channel
// A hundred apps bring hundreds of changes a second, and every look at them renders every message.
constexpr Duration kBetweenLooks = std::chrono::milliseconds(100);
constexpr Duration kAfterTrouble = std::chrono::seconds(5);
}  // namespace

struct Announcer::Follower {
  Follower(asio::any_io_executor io, std::string rotation)
      : id(std::move(rotation)), wake(io, asio::steady_timer::time_point::max()) {}

  void nudge() {
    dirty = true;
    wake.cancel();
  }
  // An edit that has to wait for Slack's pace.
  void defer(storage::TimePoint until) { deferred = std::min(deferred.value_or(until), until); }

  std::string id;
  asio::steady_timer wake;
  bool dirty = true;
  std::optional<storage::TimePoint> deferred;
  std::map<std::string, storage::TimePoint> edited;  // slot -> when
  std::map<std::string, std::size_t> sent;           // slot -> hash of the newest content in Slack
  std::set<std::string> given_up;                    // slots that Slack refuses for good
  int link_retired = 0;                              // number of the form whose message is done with
};

Announcer::Announcer(asio::any_io_executor io, SlackDesk& desk, const storage::Clock& clock, Trouble trouble)
    : io_(std::move(io)),
      desk_(desk),
      clock_(clock),
      trouble_(std::move(trouble)),
      tasks_(io_, [this](const std::string& task, std::exception_ptr failure) {
        try {
          std::rethrow_exception(failure);
        } catch (const std::exception& error) {
          if (trouble_) trouble_(task, error.what());
        }
      }) {}

Announcer::~Announcer() = default;

void Announcer::changed(const State& state) {
  auto& follower = followers_[state.id];
  if (follower) {
    follower->nudge();
    return;
  }
  follower = std::make_shared<Follower>(io_, state.id);
  tasks_.spawn("messages of " + state.id, follow(follower));
}

void Announcer::stop() { tasks_.cancel(); }

asio::awaitable<bool> Announcer::stopped(Duration limit) { co_return co_await tasks_.wait(limit); }

asio::awaitable<void> Announcer::follow(std::shared_ptr<Follower> follower) {
  for (;;) {
    follower->dirty = false;
    follower->deferred.reset();
    bool trouble = false;
    std::string why;
    try {
      co_await catch_up(follower);
    } catch (const std::exception& error) {  // Slack, or our own journal: both may come back
      trouble = true;
      why = error.what();
    }
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
    if (trouble && trouble_) trouble_("messages of " + follower->id, why);
    const auto state = runner_->find(follower->id);
    if (!trouble && !follower->dirty && !follower->deferred && state && !state->live()) {
      followers_.erase(follower->id);  // closed and told
      co_return;
    }
    if (follower->dirty && !trouble) {
      co_await net::sleep_for(kBetweenLooks);
      continue;
    }
    auto next = state ? views::next_change(*state, clock_.now()) : std::nullopt;
    if (follower->deferred) next = std::min(next.value_or(*follower->deferred), *follower->deferred);
    if (trouble) next = clock_.now() + kAfterTrouble;
    if (next) {
      follower->wake.expires_after(std::clamp(*next - clock_.now(), Duration(1), storage::kLongestSleep));
    } else {
      follower->wake.expires_at(asio::steady_timer::time_point::max());
    }
    boost::system::error_code ignored;
    co_await follower->wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (net::cancelled(co_await asio::this_coro::cancellation_state)) co_return;
  }
}

asio::awaitable<void> Announcer::catch_up(std::shared_ptr<Follower> follower) {
  const auto state = runner_->find(follower->id);
  if (!state) co_return;
  for (auto& message : views::messages_for(*state, clock_.now()))
    co_await bring(follower, std::move(message));
  co_await retire_link(follower);
}

// What was on its way when the rotation was handed over went to the former operator.
Event posted_to(const State& now, const State& then, rotation::MessagePosted posted) {
  const bool own = posted.slot.starts_with("dm_") && !posted.slot.contains('@');
  if (own && now.operator_id != then.operator_id)
    posted.slot = rotation::former_slot(posted.slot, then.handovers.size() + 1);
  return posted;
}

asio::awaitable<std::string> Announcer::channel_of(std::shared_ptr<const State> state, views::Place place,
                                                   std::string person) {
  switch (place) {
    case views::Place::team_channel:
      co_return state->channel;
    case views::Place::operator_dm:
      co_return co_await desk_.dm(state->operator_id);
    case views::Place::person:
      co_return co_await desk_.dm(std::move(person));
  }
  throw std::logic_error("a message for nowhere");
}

asio::awaitable<void> Announcer::bring(std::shared_ptr<Follower> follower, views::Message message) {
  const auto state = runner_->find(follower->id);
  const std::string addressee = message.slot + " " + state->operator_id;
  if (follower->given_up.contains(addressee)) co_return;
  const auto posted = state->messages.find(message.slot);
  const bool there = posted != state->messages.end() && !posted->second.ts.empty();
  if (there && !message.live) co_return;
  const std::string slot = message.slot;
  const auto now = clock_.now();
  // Before its content is looked at, which is dear: while Slack's pace holds it back it may change again.
  if (const auto edited = follower->edited.find(slot); there && edited != follower->edited.end()) {
    const auto again = rotation::due_again(edited->second, kBetweenEdits, now);
    if (now < again) {
      follower->defer(again);
      co_return;
    }
  }
  const std::size_t content = std::hash<std::string>{}(message.text + message.blocks.dump());
  if (there && follower->sent[slot] == content) co_return;
  try {
    if (there) {
      follower->edited[slot] = now;
      co_await desk_.update(posted->second.channel, posted->second.ts, std::move(message));
      follower->sent[slot] = content;
      co_return;
    }
    const std::string channel = co_await channel_of(state, message.place, message.person);
    std::optional<std::string> ts;
    if (posted != state->messages.end()) {  // intended before, and the answer was lost: it may be there
      ts = co_await desk_.find(channel, slot, state->id);
    } else {
      co_await runner_->change(state->id, "keyturn", [slot](const State&, storage::TimePoint) {
        return std::optional(rotation::Outcome{.events = {rotation::MessageIntended{slot}}, .boxes = {}});
      });
    }
    if (!ts) {
      ts = co_await desk_.post(channel, std::move(message), state->id);
      follower->sent[slot] = content;
    }
    co_await runner_->change(state->id, "keyturn", [&](const State& now, storage::TimePoint) {
      return std::optional(rotation::Outcome{
          .events = {posted_to(now, *state, {.slot = slot, .channel = channel, .ts = *ts})}, .boxes = {}});
    });
  } catch (const ApiError& error) {
    // What Slack will always refuse must not hold up the other messages.
    if (error.can_retry() || error.failure() == Failure::ambiguous) throw;
    follower->given_up.insert(addressee);
    if (trouble_) trouble_("message " + slot + " of " + follower->id, error.what());
  }
}

// A link that leads nowhere is taken out of the DM.
asio::awaitable<void> Announcer::retire_link(std::shared_ptr<Follower> follower) {
  const auto state = runner_->find(follower->id);
  if (!state->form || !state->form->sent || follower->link_retired == state->forms) co_return;
  if (state->form_open(clock_.now())) co_return;
  const auto sent = *state->form->sent;
  follower->link_retired = state->forms;
  try {
    co_await desk_.update(sent.channel, sent.ts, views::instructions_done(*state));
  } catch (const ApiError& error) {
    if (error.can_retry()) {
      follower->link_retired = 0;
      throw;
    }
    if (trouble_) trouble_("link message of " + follower->id, error.what());
  }
}

}  // namespace keyturn::commands
