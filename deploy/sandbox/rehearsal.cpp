#include "deploy/sandbox/rehearsal.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <stdexcept>

namespace keyturn::sandbox {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr storage::Duration kJudgeEvery = 200ms;
constexpr storage::Duration kWaitLimit = 90s;  // for one thing that should come
constexpr storage::Duration kCalmLimit = 30s;  // until a mended world is healthy
constexpr storage::Duration kSettleLimit =
    15s;  // after the last thing that was done, for what follows from it
constexpr std::size_t kLinesKept = 300;
constexpr int kLooksBetweenSearches = 10;  // of all of Slack's traffic

bool healthy(const Observation& seen) {
  const auto key = seen.keys.find(seen.stored);
  return key != seen.keys.end() && key->second.alive && key->second.ours && seen.configured == seen.stored;
}

}  // namespace

Rehearsal::Rehearsal(asio::any_io_executor io, World& world, SlackWorld& slack, const std::string& control)
    : io_(io),
      world_(world),
      slack_(slack),
      control_(control),
      tasks_(io, [this](const std::string&, std::exception_ptr failure) {
        try {
          std::rethrow_exception(std::move(failure));
        } catch (const std::exception& error) {
          tell("sandbox", std::string("the drill broke off: ") + error.what());
        }
        finish(/*stopped=*/false);
      }) {}

void Rehearsal::start(const std::string& name, bool play) {
  if (running_) throw std::invalid_argument("a drill is running");
  const Drill* drill = find_drill(name);
  if (drill == nullptr) throw std::invalid_argument("there is no drill \"" + name + "\"");
  drill_ = drill;
  running_ = true;
  played_ = play;
  story_over_ = false;
  score_ = "preparing";
  story_.reset();
  facts_.clear();
  transcript_.clear();
  began_ = clock_.now();
  tasks_.spawn("drill " + name, run(play));
}

void Rehearsal::stop() {
  if (!running_) return;
  tasks_.cancel();
  finish(/*stopped=*/true);
}

asio::awaitable<void> Rehearsal::run(bool play) {
  co_await mend();
  if (drill_->scene) drill_->scene(world_);
  story_.emplace(look(world_, slack_));
  score_ = "running";
  tell("sandbox", "the scene is set: " + drill_->sentence);
  note();
  if (play) tasks_.spawn("player", this->play());
  co_await watch();
  finish(/*stopped=*/false);
}

asio::awaitable<void> Rehearsal::play() {
  Operator ada(io_, control_, kWaitLimit,
               [this](const std::string& who, const std::string& what) { tell(who, what); });
  try {
    co_await ada.arrive();
    co_await drill_->play(ada);
  } catch (const Stuck& stuck) {
    tell("player", std::string("STUCK: ") + stuck.what());
  } catch (const net::NetError& error) {
    tell("player", std::string("STUCK: no answer: ") + error.what());
  }
  story_over_ = true;
  story_ended_ = clock_.now();
}

// Until everything is as it should be, or the player is done and nothing more comes of it.
asio::awaitable<void> Rehearsal::watch() {
  for (int looks = 1;; ++looks) {
    co_await net::sleep_for(kJudgeEvery);
    story_->note(look(world_, slack_));
    if (looks % kLooksBetweenSearches == 0) search_slack();
    note();
    const bool settled = story_over_ && clock_.now() - story_ended_ > kSettleLimit;
    if ((story_over_ || !played_) && would_pass(drill_->questions, *story_)) co_return;
    if (settled) co_return;
  }
}

// No fault is left, and one living key of ours is in Infisical, in the app, and in every dyno.
asio::awaitable<void> Rehearsal::mend() {
  slack_.fault({{"kind", "clear"}});
  for (const char* name : {"stripe", "infisical", "heroku", "billing", "billing_staging"})
    world_.vendor(name)->fault({{"kind", "clear"}});
  const Observation seen = look(world_, slack_);
  if (!healthy(seen)) {
    tell("sandbox", "mends the world: a fresh key, in Infisical and in the app");
    const StripeKey& fresh = world_.stripe.create(
        {.live = true,
         .account = kStripeAccount,
         .name = kLiveKeyName,
         .note = "",
         .permissions = {"customer_read", "subscription_read", "invoice_read", "charge_read"}});
    world_.infisical.put("prod", kVariable, fresh.value, "mended");
    world_.heroku.set_config(kProductionApp, kVariable, fresh.value, "someone@raxx.app");
  }
  if (!co_await until_calm()) tell("sandbox", "the world did not become healthy; going on all the same");
}

asio::awaitable<bool> Rehearsal::until_calm() {
  while (clock_.now() - began_ < kCalmLimit) {
    const Observation seen = look(world_, slack_);
    const bool everywhere =
        healthy(seen) && seen.settled && seen.running == std::set<std::string>{seen.stored};
    if (everywhere && seen.bot_connected && seen.billing_healthy == true) co_return true;
    co_await net::sleep_for(kJudgeEvery);
  }
  co_return false;
}

void Rehearsal::note() { facts_ = judge(drill_->questions, *story_); }

void Rehearsal::search_slack() {
  const std::string& traffic = slack_.traffic();
  for (const StripeKey& key : world_.stripe.keys()) {
    if (key.kind == StripeKeyKind::publishable) continue;
    story_->note_traffic(traffic.find(key.value) != std::string::npos);
  }
}

void Rehearsal::finish(bool stopped) {
  if (!running_) return;
  running_ = false;
  if (!story_) {  // it didn't come to that
    score_ = "stopped";
    return;
  }
  search_slack();
  story_->end();
  note();
  score_ = score_of(facts_, /*over=*/true);
  if (stopped && score_ != "passed") score_ = "stopped";
  tell("sandbox", drill_->title + ": " + score_);
}

void Rehearsal::tell(const std::string& who, const std::string& what) {
  transcript_.push_back({.at = clock_.now() - began_, .who = who, .what = what});
  if (transcript_.size() > kLinesKept) transcript_.pop_front();
  if (listener_) listener_(who, what);
}

json Rehearsal::list() {
  json list = json::array();
  for (const Drill& drill : drills()) {
    list.push_back(
        {{"name", drill.name}, {"title", drill.title}, {"sentence", drill.sentence}, {"steps", drill.steps}});
  }
  return list;
}

json Rehearsal::state() const {
  if (drill_ == nullptr) return nullptr;
  json facts = json::array();
  for (const Fact& fact : facts_) {
    facts.push_back({{"what", fact.what},
                     {"holds", fact.holds ? json(*fact.holds) : json(nullptr)},
                     {"found", fact.found}});
  }
  json lines = json::array();
  for (const Line& line : transcript_) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(line.at).count();
    lines.push_back({{"at", fmt::format("{:02}:{:02}", seconds / 60, seconds % 60)},
                     {"who", line.who},
                     {"what", line.what}});
  }
  return {{"name", drill_->name},
          {"title", drill_->title},
          {"running", running_},
          {"played", played_},
          {"score", score_},
          {"facts", std::move(facts)},
          {"should_have_seen", drill_->should_have_seen},
          {"transcript", std::move(lines)}};
}

}  // namespace keyturn::sandbox
