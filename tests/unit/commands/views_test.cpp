#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "commands/views/blocks.h"
#include "commands/views/messages.h"
#include "commands/views/plain.h"
#include "tests/unit/commands/slack_rules.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

namespace views = commands::views;

constexpr const char* kPing = "<!channel> <@U999> & `code`";

// What people, logs and vendors may say, at its worst.
std::string hostile() { return std::string(kPing) + " " + std::string(4000, 'x') + "é<!here>"; }

// A rotation with as much in it as there can be, stopped after each of its events.
std::vector<Event> long_story(const commands::Target& target,
                              const KeyProbed& at_first = healthy_probe(ActionKind::probe_old_key),
                              Duration grace = 24h) {
  std::vector<Event> events{
      Started{.target = target, .operator_id = "U1", .channel = "C1", .compromise = true, .reason = {}},
      ActionStarted{{ActionKind::read_current_key, {}}},
      failure({ActionKind::read_current_key, {}}, true, hostile()),
      OperatorChecked{true, ""},
      current_key(),
      BillingChecked{.health = Health::unhealthy, .status = 500, .detail = hostile()}};
  for (const auto& consumer : target.consumers) {
    ConsumerInspected seen = inspected(consumer.app);
    seen.dynos = 0;
    seen.maintenance = true;
    events.emplace_back(seen);
  }
  events.emplace_back(at_first);
  events.emplace_back(MessageIntended{"dm_prerequisites"});
  events.emplace_back(MessagePosted{"dm_prerequisites", "D1", "1.0"});
  events.emplace_back(OperatorConfirmed{{"ready"}, hostile()});
  events.emplace_back(FormIssued{"hash-1", kStart + 15min});
  events.emplace_back(FormSent{"D1", "1.1"});
  events.emplace_back(FormOpened{"192.0.2.1"});
  for (int i = 0; i < 5; ++i) events.emplace_back(PasteRefused{i == 0 ? "master_key" : "not_a_key", 4 - i});
  events.emplace_back(LinkRequested{});
  events.emplace_back(FormIssued{"hash-2", kStart + 30min});
  events.emplace_back(FormSent{"D1", "1.2"});
  const KeyReceived received{.fingerprint = "new-1",
                             .grace_chosen = grace,
                             .rotated_at = kStart,
                             .old_key_expires_at = kStart + grace,
                             .peer = {}};
  events.emplace_back(received);
  events.emplace_back(KeyRejected{"account", hostile()});
  events.emplace_back(FormIssued{"hash-3", kStart + 45min});
  events.emplace_back(FormSent{"D1", "1.3"});
  events.emplace_back(received);
  events.emplace_back(healthy_probe(ActionKind::probe_new_key));
  events.emplace_back(healthy_probe(ActionKind::probe_old_again));
  events.emplace_back(
      KeyStored{.version = 5, .previous_version = 4, .already_there = false, .request_id = kPing});
  for (const auto& consumer : target.consumers) {
    events.emplace_back(failure({ActionKind::update_consumer, consumer.app}, true, hostile()));
    events.emplace_back(
        ConsumerUpdated{.app = consumer.app, .already_there = false, .release = 11, .request_id = kPing});
    events.emplace_back(ConsumerRunning{.app = consumer.app, .release = 11, .dynos = 2, .request_id = kPing});
  }
  for (const auto& consumer : target.consumers) {
    WatchProgressed half;
    half.app = consumer.app;
    half.watched = 2min;
    events.emplace_back(half);
  }
  for (const auto& consumer : target.consumers) events.emplace_back(quiet_watch(consumer.app));
  WatchFinished bad = quiet_watch(target.consumers.front().app);
  bad.totals.failures = {hostile()};
  events.emplace_back(bad);
  events.emplace_back(
      Halted{.action = {ActionKind::watch_consumer, target.consumers.front().app}, .sentence = hostile()});
  events.emplace_back(RetryRequested{});
  events.emplace_back(quiet_watch(target.consumers.front().app));
  events.emplace_back(healthy_billing());
  events.emplace_back(Completed{.context = {}});
  events.emplace_back(Reminded{});
  events.emplace_back(taken_proof(Answer::granted));
  events.emplace_back(StillAlive{});
  for (int i = 0; i < 40; ++i) events.emplace_back(taken_proof(Answer::expired));
  events.emplace_back(ProvenDead{});
  events.emplace_back(Closed{"rotated"});
  return events;
}

void check_messages(const State& state, TimePoint now) {
  std::set<std::string> slots;
  for (const auto& message : views::messages_for(state, now)) {
    INFO(message.slot << " after " << name_of(stage_of(state, now)));
    CHECK(SlackRules::broken_by(message) == std::vector<std::string>{});
    CHECK(slots.insert(message.slot).second);
  }
  for (const auto& message :
       {views::instructions(state, {.link = "https://keyturn.example.com/form#token", .code = "483920"}),
        views::instructions_done(state)}) {
    INFO(message.slot);
    CHECK(SlackRules::broken_by(message) == std::vector<std::string>{});
  }
}

std::string all_messages(const State& state, TimePoint now) {
  std::string text;
  for (const auto& message : views::messages_for(state, now))
    text += message.text + message.blocks.dump() + "\n";
  return text;
}

std::vector<std::string> slots_of(const State& state, TimePoint now) {
  std::vector<std::string> slots;
  for (const auto& message : views::messages_for(state, now)) slots.push_back(message.slot);
  return slots;
}

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

TEST_CASE("every message of every state keeps Slack's limits and pings nobody") {
  for (const int consumers : {1, 2, 40}) {
    auto target = sample_target();
    target.consumers.clear();
    for (int i = 0; i < consumers; ++i) target.consumers.push_back({"consumer-" + std::to_string(i), "KEY"});
    target.dashboard_key_name = std::string(19, 'k') + "ключ & <key>";
    State state;
    state.id = "rot_1";
    TimePoint now = kStart;
    for (const Event& event : long_story(target)) {
      apply(state, event, now);
      now += 10s;
      check_messages(state, now);
      if (consumers < 40) check_messages(state, now + 48h);
    }
  }
}

TEST_CASE("no message of a recovery says that billing runs on the dead key, or asks to rotate it") {
  State state;
  state.id = "rot_1";
  TimePoint now = kStart;
  for (const Event& event : long_story(sample_target(), dead_at_first(), 0h)) {
    apply(state, event, now);
    now += 10s;
    if (!state.recovery()) continue;
    check_messages(state, now);
    const std::string text =
        all_messages(state, now) +
        views::instructions(state, {.link = "https://k/form#t", .code = ""}).blocks.dump();
    INFO(name_of(stage_of(state, now)));
    for (const char* wrong :
         {"key it had", "runs on the old", "Rotate API key", "died early", "⋯ → *Rotate key*",
          "Grace of the old key", "current key is alive", "is expiring"}) {
      INFO(wrong);
      CHECK(text.find(wrong) == std::string::npos);
    }
    CHECK(text.find("Create restricted key") != std::string::npos);
    CHECK(has(slots_of(state, now), "channel_dead_at_first"));
  }
  CHECK(all_messages(state, now).find("recovered with a fresh key") != std::string::npos);
}

TEST_CASE("refused and cancelled rotations are told within the limits, and with an alarm where one belongs") {
  Story refused;
  refused.happens(Refused{.code = "master_key_stored", .sentence = hostile(), .alarm = true}).conclude();
  check_messages(refused.state, refused.now);
  CHECK(has(slots_of(refused.state, refused.now), "channel_master_key_0"));
  Story cancelled;
  cancelled.linked().happens(Cancelled{}).conclude();
  check_messages(cancelled.state, cancelled.now);
  CHECK(has(slots_of(cancelled.state, cancelled.now), "dm_ended"));
}

TEST_CASE("an operator's reason never pings and never looks like a link") {
  Story story(sample_target(), /*compromise=*/true, "<!channel> <https://evil.example|click>");
  const std::string text = all_messages(story.state, story.now);
  CHECK(text.find("<!channel") == std::string::npos);
  CHECK(text.find("<https://evil") == std::string::npos);
  CHECK(text.find("&lt;!channel&gt;") != std::string::npos);
}

TEST_CASE("no message but the instructions holds the link, and none of the others its hash") {
  Story story;
  story.linked();
  const std::string text = all_messages(story.state, story.now);
  CHECK(text.find("hash-1") == std::string::npos);
  const auto open = views::instructions(
      story.state, {.link = "https://keyturn.example.com/form#secret-token", .code = "483920"});
  CHECK(open.blocks.dump().find("secret-token") != std::string::npos);
  CHECK(open.text.find("secret-token") == std::string::npos);
  CHECK(open.blocks.dump().find("483 920") != std::string::npos);
  CHECK(open.text.find("483") == std::string::npos);  // notifications show it on locked screens
  const std::string done = views::instructions_done(story.state).blocks.dump();
  CHECK(done.find("form#") == std::string::npos);
  CHECK(done.find("asks for this code") == std::string::npos);
}

TEST_CASE("what Slack shows can be read as plain text") {
  CHECK(views::plain("*Stopped*: `raxx` &lt;a&gt; &amp;amp;", "U1", "Ada") == "Stopped: raxx <a> &amp;");
  CHECK(views::plain("<@U1> and <@U2>", "U1", "Ada") == "Ada and U2");
  CHECK(views::plain("see <https://x.example|the page> by <!date^1^{date}|2026-11-23 UTC>", "U1", "Ada") ==
        "see the page by 2026-11-23 UTC");
  CHECK(views::plain("a < b", "U1", "Ada") == "a < b");
}

TEST_CASE("each stage has the messages that people need then") {
  CHECK(has(slots_of(Story().checked().state, kStart), "dm_prerequisites"));
  CHECK_FALSE(has(slots_of(Story().state, kStart), "dm_prerequisites"));
  Story done;
  done.completed();
  CHECK(has(slots_of(done.state, done.now), "channel_summary"));
  CHECK_FALSE(has(slots_of(done.state, done.now), "channel_proof"));
  Story halted;
  halted.stored().happens(Halted{});
  CHECK(has(slots_of(halted.state, halted.now), "dm_halted_1"));
  CHECK(has(slots_of(halted.state, halted.now), "channel_halted_1"));
}

TEST_CASE("an app is said to hold the same key only when it does") {
  Story story;
  ConsumerInspected other = inspected("canary");
  other.fingerprint = "else-1";
  story.happens(other);
  CHECK(all_messages(story.state, story.now).find("canary holds the key `else-1`") != std::string::npos);
  story.happens(current_key());
  const std::string text = all_messages(story.state, story.now);
  CHECK(text.find("canary holds another key, `else-1`") != std::string::npos);
  CHECK(text.find("canary holds the same key") == std::string::npos);
  other.fingerprint.clear();
  story.happens(other);
  CHECK(all_messages(story.state, story.now).find("canary holds no key") != std::string::npos);
  story.happens(inspected("canary"));
  CHECK(all_messages(story.state, story.now).find("canary holds the same key") != std::string::npos);
}

TEST_CASE("a watch that saw no line says that nothing was exercised, and what it didn't see") {
  Story story;
  story.propagated();
  WatchFinished silent = quiet_watch("canary");
  silent.totals.lines = 0;
  silent.totals.gaps = 2;
  silent.totals.blind = 3s;
  story.happens(silent);
  const std::string text = all_messages(story.state, story.now);
  CHECK(text.find("no line of any dyno: not exercised, 2 gaps, 3 seconds not seen") != std::string::npos);
  CHECK(text.find("canary log watched for 5 minutes: 0 lines, no authentication failure") ==
        std::string::npos);
}

// Found by the simulation: the deadline of a key that is not there any more was read all the same.
TEST_CASE("a reminder about a key that was set aside since is not told anew") {
  Story story;
  story.received(1h).happens(Halted{}).happens(Reminded{});
  CHECK(has(slots_of(story.state, story.now), "channel_reminder"));
  story.happens(KeyRejected{std::string(kSetAside), "set aside"}).happens(RetryRequested{});
  CHECK_FALSE(has(slots_of(story.state, story.now), "channel_reminder"));
}

TEST_CASE("what a refusal broke off no longer looks as if it went on") {
  Story story;
  ConsumerInspected other = inspected("canary");
  other.fingerprint = "else-1";
  story.happens(OperatorChecked{true, ""}).happens(current_key());
  CHECK(all_messages(story.state, story.now).find("…  Asking Stripe") != std::string::npos);
  story.happens(other).conclude();
  REQUIRE(story.state.refused);
  const std::string text = all_messages(story.state, story.now);
  CHECK(text.find("·  Asking Stripe") != std::string::npos);
  CHECK(text.find("…  ") == std::string::npos);
}

TEST_CASE("the channel is told at once that the old key died early, and only then") {
  Story calm;
  calm.validated();
  CHECK_FALSE(has(slots_of(calm.state, calm.now), "channel_died_early"));
  Story chosen;
  chosen.received(0h);
  CHECK(has(slots_of(chosen.state, chosen.now), "channel_died_early"));
  Story noticed;
  noticed.received(24h).happens(KeyProbed{.purpose = ActionKind::probe_old_again,
                                          .probes = {probe("GET /v1/customers", Answer::expired)},
                                          .fingerprint = "old-1"});
  CHECK(has(slots_of(noticed.state, noticed.now), "channel_died_early"));
  check_messages(noticed.state, noticed.now);
  // Asked again after its deadline, it is dead as it should be.
  Story late;
  late.received(1h).later(2h).happens(KeyProbed{.purpose = ActionKind::probe_old_again,
                                                .probes = {probe("GET /v1/customers", Answer::expired)},
                                                .fingerprint = "old-1"});
  CHECK_FALSE(has(slots_of(late.state, late.now), "channel_died_early"));
}

TEST_CASE("a summary after a retry still shows the validation as done") {
  Story story;
  story.stored().happens(Halted{}).happens(RetryRequested{});
  for (const auto& consumer : story.state.target.consumers) story.runs_on(consumer.app);
  for (const auto& consumer : story.state.target.consumers) story.happens(quiet_watch(consumer.app));
  story.happens(healthy_billing()).conclude();
  REQUIRE(story.state.completed);
  CHECK(story.state.completed->event.context.contains("scopes"));
  CHECK(all_messages(story.state, story.now).find("Validate the new key") == std::string::npos);
}

TEST_CASE("a text is cut between characters and between entities") {
  CHECK(views::cut("short", 10) == "short");
  for (std::size_t limit = 4; limit < 40; ++limit) {
    const auto cut = views::cut("ключ &amp;&lt;&gt; ключ ключ ключ", limit);
    INFO(limit << ": " << cut);
    CHECK(cut.size() <= limit);
    CHECK_NOTHROW(nlohmann::json(cut).dump());
    const auto last = cut.rfind('&');
    if (last != std::string::npos) CHECK(cut.find(';', last) != std::string::npos);
  }
}

TEST_CASE("the grace bar is redrawn while it moves and not afterwards") {
  Story story;
  story.completed(1h);
  const auto next = views::next_change(story.state, story.now);
  REQUIRE(next);
  CHECK(*next > story.now);
  CHECK_FALSE(views::next_change(story.state, *story.state.old_key_deadline()));
}

}  // namespace keyturn::test
