// The reconnect stories, one test each, and a property over random ones.
#include "integrations/slack/session.h"

#include <rapidcheck.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

namespace keyturn::slack {
namespace {

using storage::Duration;
using storage::TimePoint;
using namespace std::chrono_literals;

const TimePoint kStart{std::chrono::hours(24 * 365 * 50)};

std::string hello(int num_connections = 1, int life_seconds = 3600, const std::string& app = "A1") {
  nlohmann::json message = {{"type", "hello"}, {"num_connections", num_connections}};
  message["debug_info"] = {{"approximate_connection_time", life_seconds}};
  message["connection_info"] = {{"app_id", app}};
  return message.dump();
}

std::string goodbye(const std::string& reason) {
  return R"({"type":"disconnect","reason":")" + reason + R"("})";
}

std::string envelope(const std::string& id) {
  return R"({"envelope_id":")" + id + R"(","type":"events_api"})";
}

// Plays the world: remembers what the session wanted last.
struct Play {
  Session session;
  TimePoint now = kStart;
  std::vector<Output> last;
  std::optional<TimePoint> timer;
  Epoch asked = 0;  // the last URL request

  explicit Play(SessionOptions options = {}) : session(std::move(options), /*seed=*/7) {}

  const std::vector<Output>& give(const Input& input) {
    last = session.step(input, now);
    for (const Output& output : last) {
      if (auto* set = std::get_if<SetTimer>(&output)) timer = set->at;
      if (std::holds_alternative<ClearTimer>(output)) timer.reset();
      if (auto* request = std::get_if<RequestUrl>(&output)) asked = request->epoch;
    }
    return last;
  }

  void wait(Duration duration) { now += duration; }

  // To the deadline that the session chose.
  const std::vector<Output>& let_timer_fire() {
    REQUIRE(timer.has_value());
    now = std::max(now, *timer);
    timer.reset();
    return give(TimerFired{});
  }

  void connect(Epoch epoch) {
    give(UrlReceived{epoch, "wss://wss-primary.slack.com/link/?ticket=x"});
    give(Connected{epoch});
  }

  Epoch become_ready() {
    give(Started{});
    connect(asked);
    give(TextReceived{asked, hello()});
    REQUIRE(session.ready());
    return asked;
  }

  template <typename Wanted>
  int count() const {
    return static_cast<int>(
        std::ranges::count_if(last, [](const Output& o) { return std::holds_alternative<Wanted>(o); }));
  }
  template <typename Wanted>
  const Wanted* first() const {
    for (const Output& output : last) {
      if (auto* found = std::get_if<Wanted>(&output)) return found;
    }
    return nullptr;
  }
  bool closes(Epoch epoch) const {
    return std::ranges::any_of(last, [epoch](const Output& o) {
      auto* close = std::get_if<CloseConnection>(&o);
      return close != nullptr && close->epoch == epoch;
    });
  }
};

}  // namespace

TEST_CASE("a session is ready at hello, not when the socket opens") {
  Play play;
  play.give(Started{});
  REQUIRE(play.asked != 0);
  CHECK(play.first<LinkChanged>()->link == Link::connecting);
  play.connect(play.asked);
  CHECK_FALSE(play.session.ready());
  play.give(TextReceived{play.asked, hello()});
  CHECK(play.session.ready());
  CHECK(play.first<LinkChanged>()->link == Link::ready);
  CHECK(play.first<Hello>()->app == "A1");
  CHECK(play.count<Warn>() == 0);
}

TEST_CASE("Slack's wish for a replacement opens the new connection before the old one is closed") {
  const std::string reason =
      GENERATE(as<std::string>(), "warning", "refresh_requested", "never_heard_of", "");
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye(reason)});
  const Epoch fresh = play.asked;
  REQUIRE(fresh != old);
  CHECK_FALSE(play.closes(old));
  CHECK(play.session.ready());

  play.connect(fresh);
  CHECK_FALSE(play.closes(old));
  play.give(TextReceived{old, envelope("late")});
  REQUIRE(play.first<Deliver>());
  CHECK(play.first<Deliver>()->epoch == old);

  play.give(TextReceived{fresh, hello(2)});
  CHECK(play.closes(old));
  CHECK(play.first<CloseConnection>()->replaced);
  CHECK(play.first<Hello>()->held == 2);
  CHECK(play.count<Warn>() == 0);
  CHECK(play.session.current() == fresh);
  play.give(Disconnected{old, "closed here"});
  CHECK(play.session.ready());
  CHECK(play.session.held() == 1);
  CHECK(play.count<RequestUrl>() == 0);
}

TEST_CASE("what the old connection delivers while it is being closed is still handed over") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  play.connect(play.asked);
  play.give(TextReceived{play.asked, hello(2)});
  play.give(TextReceived{old, envelope("in flight")});
  CHECK(play.count<Deliver>() == 1);
}

TEST_CASE("a connection that Slack wants replaced is closed after its limit, replacement or not") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  CHECK(play.timer == play.now + 8s);
  play.let_timer_fire();
  CHECK(play.closes(old));
  CHECK_FALSE(play.session.ready());
  CHECK(play.count<RequestUrl>() == 0);  // one is outstanding already
}

TEST_CASE("a connection is replaced on our own account at about nine tenths of its life") {
  Play play;
  const Epoch old = play.become_ready();
  REQUIRE(play.timer.has_value());
  CHECK(*play.timer >= kStart + std::chrono::seconds(3600 * 85 / 100));
  CHECK(*play.timer <= kStart + std::chrono::seconds(3600 * 95 / 100));
  play.let_timer_fire();
  CHECK(play.count<RequestUrl>() == 1);
  CHECK(play.session.ready());
  CHECK_FALSE(play.timer.has_value());  // no limit for the old one: Slack hasn't asked
  play.connect(play.asked);
  play.give(TextReceived{play.asked, hello(2)});
  CHECK(play.closes(old));
}

TEST_CASE("a hello without a lifetime means no rotation of our own") {
  Play play;
  play.give(Started{});
  play.connect(play.asked);
  play.give(TextReceived{play.asked, R"({"type":"hello"})"});
  CHECK(play.session.ready());
  CHECK_FALSE(play.timer.has_value());
}

TEST_CASE("a warning and a refresh request after each other make one replacement") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  CHECK(play.count<RequestUrl>() == 1);
  play.give(TextReceived{old, goodbye("refresh_requested")});
  CHECK(play.count<RequestUrl>() == 0);
  play.give(Disconnected{old, "closed by peer"});
  CHECK(play.count<RequestUrl>() == 0);
}

TEST_CASE("too many websockets: this one is closed first, and the next one waits") {
  Play play;
  const Epoch only = play.become_ready();
  play.wait(1h);
  play.give(
      TextReceived{only, R"({"type":"disconnect","reason":"too_many_websockets","num_connections":11})"});
  CHECK(play.closes(only));
  CHECK_FALSE(play.first<CloseConnection>()->replaced);
  CHECK(play.count<RequestUrl>() == 0);
  REQUIRE(play.first<Warn>());
  CHECK(play.first<Warn>()->what.find("11") != std::string::npos);
  play.let_timer_fire();
  CHECK(play.count<RequestUrl>() == 1);
}

TEST_CASE("Socket Mode switched off is asked for again no sooner than in a minute") {
  Play play;
  const Epoch only = play.become_ready();
  play.give(TextReceived{only, goodbye("link_disabled")});
  CHECK(play.closes(only));
  CHECK(play.count<Warn>() == 1);
  REQUIRE(play.timer.has_value());
  CHECK(*play.timer >= play.now + 1min);
  play.let_timer_fire();
  CHECK(play.count<RequestUrl>() == 1);
}

TEST_CASE("a refused token ends the session, and nothing else does") {
  Play play;
  play.give(Started{});
  SECTION("refused") {
    const std::string word =
        GENERATE(as<std::string>(), "invalid_auth", "not_authed", "token_revoked", "token_expired",
                 "account_inactive", "missing_scope", "not_allowed_token_type");
    play.give(UrlRefused{play.asked, word, std::nullopt});
    CHECK(play.first<LinkChanged>()->link == Link::dead_token);
    CHECK(play.first<LinkChanged>()->detail == word);
    CHECK_FALSE(play.timer.has_value());
    play.give(TimerFired{});
    CHECK(play.last.empty());
  }
  SECTION("anything else") {
    const std::string word =
        GENERATE(as<std::string>(), "internal_error", "fatal_error", "service_unavailable", "request_timeout",
                 "ratelimited", "unreachable", "http 503", "http 404", "");
    for (int i = 0; i < 200; ++i) {
      play.give(UrlRefused{play.asked, word, std::nullopt});
      REQUIRE(play.timer.has_value());
      CHECK(*play.timer <= play.now + 60s);
      play.let_timer_fire();
      REQUIRE(play.count<RequestUrl>() == 1);
    }
  }
}

TEST_CASE("a dead token closes what is open") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  play.give(UrlRefused{play.asked, "token_revoked", std::nullopt});
  CHECK(play.closes(old));
  CHECK_FALSE(play.session.ready());
}

TEST_CASE("Retry-After is the least that is waited") {
  Play play;
  play.give(Started{});
  play.give(UrlRefused{play.asked, "ratelimited", 300s});
  REQUIRE(play.timer.has_value());
  CHECK(*play.timer >= play.now + 300s);
}

TEST_CASE("pauses grow to their ceiling and spread below it") {
  Duration longest{};
  std::set<Duration> different;
  Play play;
  play.give(Started{});
  for (int i = 0; i < 100; ++i) {
    play.give(UrlRefused{play.asked, "unreachable", std::nullopt});
    const Duration pause = *play.timer - play.now;
    if (i == 0) CHECK(pause <= 1s);
    longest = std::max(longest, pause);
    different.insert(pause);
    play.let_timer_fire();
  }
  CHECK(longest > 30s);
  CHECK(longest <= 60s);
  CHECK(different.size() > 50);
}

TEST_CASE("neither a URL nor an open socket resets the backoff") {
  Play play;
  play.give(Started{});
  Duration longest{};
  for (int i = 0; i < 60; ++i) {
    play.connect(play.asked);
    play.give(Disconnected{play.asked, "reset"});
    longest = std::max(longest, *play.timer - play.now);
    play.let_timer_fire();
  }
  CHECK(longest > 30s);
}

TEST_CASE("a server that greets and hangs up is not called in a loop") {
  Play play;
  play.become_ready();
  Duration longest{};
  for (int i = 0; i < 60; ++i) {
    play.give(Disconnected{play.asked, "reset"});
    if (play.count<RequestUrl>() == 0) {
      longest = std::max(longest, *play.timer - play.now);
      play.let_timer_fire();
    }
    play.connect(play.asked);
    play.give(TextReceived{play.asked, hello()});
  }
  CHECK(longest > 30s);
}

TEST_CASE("a connection that had lasted is replaced at once when it breaks") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(Disconnected{old, "nothing came within the idle limit"});
  CHECK(play.count<RequestUrl>() == 1);
  CHECK(play.first<LinkChanged>()->link == Link::connecting);
  CHECK(play.first<LinkChanged>()->detail.find("idle limit") != std::string::npos);
}

TEST_CASE("a socket that never says hello is given up") {
  Play play;
  play.give(Started{});
  const Epoch silent = play.asked;
  play.connect(silent);
  CHECK(play.timer == play.now + 30s);
  play.let_timer_fire();
  CHECK(play.closes(silent));
  CHECK(play.count<RequestUrl>() == 0);
  CHECK(play.timer.has_value());
  play.give(TextReceived{silent, hello()});  // too late
  CHECK_FALSE(play.session.ready());
}

TEST_CASE("a connection that opens after it was given up is closed") {
  Play play;
  play.give(Started{});
  const Epoch slow = play.asked;
  play.give(UrlReceived{slow, "wss://x"});
  play.let_timer_fire();
  CHECK(play.closes(slow));
  play.give(Connected{slow});
  CHECK(play.closes(slow));
}

TEST_CASE("the end of an old connection doesn't touch the new one") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  play.connect(play.asked);
  play.give(TextReceived{play.asked, hello(2)});
  for (const Input& stale : std::vector<Input>{
           TextReceived{old, goodbye("link_disabled")}, Disconnected{old, ""}, Disconnected{old, ""},
           UrlReceived{old, "wss://x"}, UrlRefused{old, "invalid_auth", std::nullopt}, ConnectFailed{old, ""},
           TextReceived{old, hello()}, TextReceived{999, envelope("x")}}) {
    play.give(stale);
    CHECK(play.last.empty());
    CHECK(play.session.ready());
  }
}

TEST_CASE("more connections at Slack than in our hands is said") {
  Play play;
  play.give(Started{});
  play.connect(play.asked);
  play.give(TextReceived{play.asked, hello(10)});
  CHECK(play.session.ready());
  REQUIRE(play.first<Warn>());
  CHECK(play.first<Hello>()->num_connections == 10);
  CHECK(play.first<Hello>()->held == 1);
}

TEST_CASE("a token of another app is not worked with") {
  Play play({.expected_app = "A1"});
  play.give(Started{});
  play.connect(play.asked);
  play.give(TextReceived{play.asked, hello(1, 3600, "A2")});
  CHECK_FALSE(play.session.ready());
  CHECK(play.closes(play.asked));
  CHECK(play.first<Warn>()->what.find("A2") != std::string::npos);
  CHECK(*play.timer >= play.now + 1min);
}

TEST_CASE("text that is no message of Slack's is ignored") {
  Play play;
  const Epoch only = play.become_ready();
  for (const char* text :
       {"", "ping", "{", "{}", "[]", "null", "{\"type\":3}", "{\"type\":\"unheard_of\"}",
        "{\"envelope_id\":7}", "{\"envelope_id\":\"\"}", "{\"type\":\"hello\"}", "\xff\xfe"}) {
    play.give(TextReceived{only, text});
    CHECK(play.last.empty());
  }
  CHECK(play.session.ready());
}

TEST_CASE("an envelope of an unknown type is delivered") {
  Play play;
  const Epoch only = play.become_ready();
  play.give(TextReceived{only, R"({"envelope_id":"e","type":"carrier_pigeon"})"});
  CHECK(play.first<Deliver>()->message["envelope_id"] == "e");
}

TEST_CASE("a stop closes everything, what is still opening too") {
  Play play;
  const Epoch old = play.become_ready();
  play.wait(1h);
  play.give(TextReceived{old, goodbye("warning")});
  const Epoch opening = play.asked;
  play.give(UrlReceived{opening, "wss://x"});
  play.give(StopRequested{});
  CHECK(play.closes(old));
  CHECK(play.closes(opening));
  CHECK(play.first<LinkChanged>()->link == Link::stopped);
  CHECK_FALSE(play.timer.has_value());
  play.give(Disconnected{old, ""});
  CHECK(play.last.empty());
  play.give(Connected{opening});
  CHECK(play.closes(opening));
}

TEST_CASE("an envelope that comes after the stop is still delivered, so that it can be acknowledged") {
  Play play;
  const Epoch only = play.become_ready();
  play.give(StopRequested{});
  play.give(TextReceived{only, envelope("last")});
  CHECK(play.count<Deliver>() == 1);
}

// ---- whatever happens

namespace {

// What the session believes of the world, seen from outside, by its outputs alone.
struct Watch {
  Session session;
  TimePoint now = kStart;
  std::set<Epoch> urls, connecting, open, greeted, closing;
  std::optional<TimePoint> timer;
  bool ended = false;

  explicit Watch(std::uint64_t seed) : session({}, seed) {}

  void give(const Input& input) {
    if (auto* url = std::get_if<UrlReceived>(&input)) urls.erase(url->epoch);
    if (auto* refused = std::get_if<UrlRefused>(&input)) urls.erase(refused->epoch);
    if (auto* failed = std::get_if<ConnectFailed>(&input)) connecting.erase(failed->epoch);
    if (auto* connected = std::get_if<Connected>(&input)) {
      connecting.erase(connected->epoch);
      open.insert(connected->epoch);
    }
    if (auto* gone = std::get_if<Disconnected>(&input)) {
      open.erase(gone->epoch);
      greeted.erase(gone->epoch);
    }
    if (auto* text = std::get_if<TextReceived>(&input);
        text && text->text.find("hello") != std::string::npos) {
      if (open.contains(text->epoch)) greeted.insert(text->epoch);
    }
    if (std::holds_alternative<TimerFired>(input)) timer.reset();
    for (const Output& output : session.step(input, now)) take(output);
    check();
  }

  void take(const Output& output) {
    if (auto* request = std::get_if<RequestUrl>(&output)) urls.insert(request->epoch);
    if (auto* connect = std::get_if<Connect>(&output)) connecting.insert(connect->epoch);
    if (auto* close = std::get_if<CloseConnection>(&output)) {
      closing.insert(close->epoch);
      connecting.erase(close->epoch);
    }
    if (auto* set = std::get_if<SetTimer>(&output)) timer = set->at;
    if (std::holds_alternative<ClearTimer>(output)) timer.reset();
    if (auto* link = std::get_if<LinkChanged>(&output)) {
      ended = link->link == Link::stopped || link->link == Link::dead_token;
    }
  }

  std::size_t held_on_purpose() const {
    return connecting.size() + static_cast<std::size_t>(std::ranges::count_if(
                                   open, [this](Epoch epoch) { return !closing.contains(epoch); }));
  }

  void check() const {
    RC_ASSERT(urls.size() <= 1U || ended);
    RC_ASSERT(held_on_purpose() <= 2U);
    RC_ASSERT(urls.size() + connecting.size() <= 1U || ended);
    // Never silently dead: a live connection, something under way, or a timer.
    const bool alive = timer || !urls.empty() || session.ready();
    RC_ASSERT(ended || alive);
    if (session.ready()) {
      RC_ASSERT(session.current().has_value());
      RC_ASSERT(open.contains(*session.current()));
      RC_ASSERT(greeted.contains(*session.current()));
      RC_ASSERT(!closing.contains(*session.current()));
    }
    if (ended) RC_ASSERT(!timer && held_on_purpose() == 0U);
  }

  // Something that a real caller could say now.
  Input any_input() {
    std::vector<Input> possible = {TimerFired{}};
    for (Epoch epoch : urls) {
      possible.emplace_back(UrlReceived{epoch, "wss://x"});
      possible.emplace_back(UrlReceived{epoch, "wss://x"});
      possible.emplace_back(UrlRefused{epoch, "internal_error", std::nullopt});
    }
    for (Epoch epoch : connecting) {
      possible.emplace_back(Connected{epoch});
      possible.emplace_back(Connected{epoch});
      possible.emplace_back(ConnectFailed{epoch, "reset"});
    }
    for (Epoch epoch : closing) {  // opened after all
      if (!open.contains(epoch)) possible.emplace_back(Connected{epoch});
    }
    for (Epoch epoch : open) {
      possible.emplace_back(Disconnected{epoch, "reset"});
      for (const std::string& text :
           {hello(), hello(), goodbye("warning"), goodbye("refresh_requested"),
            goodbye("too_many_websockets"), goodbye("link_disabled"), envelope("e"), std::string("junk")}) {
        possible.emplace_back(TextReceived{epoch, text});
      }
    }
    if (*rc::gen::inRange(0, 60) == 0) possible = {StopRequested{}};
    if (*rc::gen::inRange(0, 200) == 0 && !urls.empty()) {
      possible = {UrlRefused{*urls.begin(), "invalid_auth", std::nullopt}};
    }
    // And sometimes what no caller should say.
    if (*rc::gen::inRange(0, 10) == 0) {
      const Epoch stray = *rc::gen::inRange<Epoch>(900, 903);
      possible = {UrlReceived{stray, "wss://x"}, UrlRefused{stray, "invalid_auth", std::nullopt},
                  ConnectFailed{stray, ""},      Disconnected{stray, ""},
                  TextReceived{stray, hello()},  Started{}};
    }
    return possible[*rc::gen::inRange<std::size_t>(0, possible.size())];
  }
};

}  // namespace

TEST_CASE("whatever happens, the session is never dead in silence and never holds a third connection") {
  REQUIRE(rc::check([] {
    Watch watch(*rc::gen::arbitrary<std::uint64_t>());
    watch.give(Started{});
    const int steps = *rc::gen::inRange(1, 120);
    for (int i = 0; i < steps; ++i) {
      const Input next = watch.any_input();
      if (std::holds_alternative<TimerFired>(next) && watch.timer)
        watch.now = std::max(watch.now, *watch.timer);
      watch.now += std::chrono::milliseconds(*rc::gen::element(0, 1, 50, 2'000, 20'000));
      watch.give(next);
    }
  }));
}

}  // namespace keyturn::slack
