// The reconnect procedure. See session.h.
//
// Every input changes the state in one place, and settle() then derives what follows from it: what has
// expired, whether a new attempt may start, what the link is called now, and when to look again. So no path
// can forget the timer.
#include "integrations/slack/session.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string_view>
#include <utility>

#include "integrations/slack/wire.h"

namespace keyturn::slack {
namespace {

using nlohmann::json;
using storage::Duration;
using storage::TimePoint;

// https://docs.slack.dev/reference/methods/apps.connections.open: what only a person with a new token can
// end. internal_error and fatal_error are not among them: clients that gave up on those stayed dead for good.
constexpr std::array<std::string_view, 12> kFatalErrors = {
    "not_authed",    "invalid_auth",           "account_inactive", "token_revoked",
    "token_expired", "user_removed_from_team", "team_disabled",    "forbidden_team",
    "access_denied", "not_allowed_token_type", "missing_scope",    "no_permission"};
// A person may be working on these; asking every few seconds helps nobody.
constexpr std::array<std::string_view, 3> kSlowErrors = {"team_added_to_org", "org_login_required",
                                                         "missing_args"};

// Slack says how long a connection will live, usually hours; anything longer than this is no promise.
constexpr std::int64_t kLongestLifeSeconds = 24L * 3600;

// The reason of a disconnect message, and what of a connection's life it ends.
enum class Goodbye { replace, too_many, disabled };

Goodbye goodbye_for(std::string_view reason) {
  if (reason == "too_many_websockets") return Goodbye::too_many;
  if (reason == "link_disabled") return Goodbye::disabled;
  return Goodbye::replace;  // warning, refresh_requested, and what Slack may invent
}

std::string text_at(const json& message, const char* pointer) {
  const json::json_pointer where(pointer);
  return message.contains(where) && message.at(where).is_string() ? message.at(where).get<std::string>() : "";
}

std::int64_t number_at(const json& message, const char* pointer) {
  const json::json_pointer where(pointer);
  return message.contains(where) && message.at(where).is_number_integer()
             ? message.at(where).get<std::int64_t>()
             : 0;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

struct Connection {
  enum class Stage { awaiting_hello, live, closing };
  Stage stage = Stage::awaiting_hello;
  TimePoint hello_at{};
  bool outdated = false;               // a replacement is wanted
  std::optional<TimePoint> rotate_at;  // when we want one on our own account, before Slack does
  std::optional<TimePoint> close_at;   // Slack asked for one: closed then, replaced or not
};

struct Attempt {  // at most one at any time
  enum class Step { url, connecting, hello };
  Epoch epoch = 0;
  Step step = Step::url;
  std::optional<TimePoint> deadline;  // none while the URL is asked for: the call has its own
};

}  // namespace

struct Session::State {
  enum class Life { idle, running, stopped, dead };

  SessionOptions options;
  std::mt19937_64 random;
  Life life = Life::idle;
  std::map<Epoch, Connection> connections;
  std::optional<Epoch> current;
  std::optional<Attempt> attempt;
  std::optional<TimePoint> not_before;  // the backoff
  int troubles = 0;                     // in a row, without a connection that lasted
  Epoch last_epoch = 0;
  std::optional<Link> told;
  std::string last_trouble;
  std::optional<TimePoint> armed;
  // Of the step in progress.
  TimePoint now;
  std::vector<Output> out;

  State(SessionOptions chosen, std::uint64_t seed) : options(std::move(chosen)), random(seed) {}

  // ---- what happened

  void on(const Started&) {
    if (life == Life::idle) life = Life::running;
  }

  void on(const UrlReceived& event) {
    if (!attempting(event.epoch, Attempt::Step::url)) return;
    attempt->step = Attempt::Step::connecting;
    attempt->deadline = now + options.hello_limit;
    out.emplace_back(Connect{.epoch = event.epoch, .url = event.url});
  }

  void on(const UrlRefused& event) {
    if (!attempting(event.epoch, Attempt::Step::url)) return;
    if (is_one_of(kFatalErrors, event.error)) return finish(Life::dead, event.error);
    Duration at_least = event.retry_after.value_or(Duration::zero());
    if (is_one_of(kSlowErrors, event.error)) at_least = std::max(at_least, options.link_disabled_backoff);
    attempt_failed("no socket URL: " + event.error, at_least);
  }

  void on(const Connected& event) {
    if (attempting(event.epoch, Attempt::Step::connecting)) {
      attempt->step = Attempt::Step::hello;
      connections[event.epoch] = {};
    } else if (!connections.contains(event.epoch)) {
      // Too late: given up, or stopped. Left open it would be one of the ten that Slack allows.
      connections[event.epoch] = {.stage = Connection::Stage::closing};
      out.emplace_back(CloseConnection{.epoch = event.epoch});
    }
  }

  void on(const ConnectFailed& event) {
    if (attempting(event.epoch, Attempt::Step::connecting)) attempt_failed("no connection: " + event.why);
  }

  void on(const TextReceived& event) {
    auto found = connections.find(event.epoch);
    if (found == connections.end()) return;
    // Not JSON, not an object, no type that we know: none of it is a reason to reconnect.
    json message = event.text.starts_with('{') ? json::parse(event.text, nullptr, /*allow_exceptions=*/false)
                                               : json(json::value_t::discarded);
    if (!message.is_object()) return;
    if (auto id = message.find("envelope_id"); id != message.end() && id->is_string()) {
      if (id->get_ref<const std::string&>().empty()) return;
      out.emplace_back(Deliver{.epoch = event.epoch, .message = std::move(message)});
      return;
    }
    if (life != Life::running || found->second.stage == Connection::Stage::closing) return;
    const std::string type = text_at(message, "/type");
    if (type == "hello") greeted(event.epoch, message);
    if (type == "disconnect") told_to_go(event.epoch, message);
  }

  void on(const Disconnected& event) {
    auto found = connections.find(event.epoch);
    if (found == connections.end()) return;
    const Connection gone = found->second;
    connections.erase(found);
    if (attempt && attempt->epoch == event.epoch) {
      attempt_failed("the connection ended before hello: " + event.why);
    } else if (current == event.epoch) {
      current.reset();
      last_trouble = "the connection ended: " + event.why;
      replace_soon(gone);
    }
  }

  void on(const TimerFired&) { armed.reset(); }

  void on(const StopRequested&) {
    if (life == Life::idle || life == Life::running) finish(Life::stopped, "");
  }

  // ---- what Slack says

  void greeted(Epoch epoch, const json& hello) {
    Connection& connection = connections.at(epoch);
    if (connection.stage != Connection::Stage::awaiting_hello) return;
    const std::string app = text_at(hello, "/connection_info/app_id");
    if (!options.expected_app.empty() && !app.empty() && app != options.expected_app) {
      close(epoch);
      return attempt_failed("the app-level token belongs to app " + app + ", not to " + options.expected_app,
                            options.link_disabled_backoff);
    }
    const std::optional<Epoch> old = std::exchange(current, epoch);
    connection.stage = Connection::Stage::live;
    connection.hello_at = now;
    connection.rotate_at = rotation_time(number_at(hello, "/debug_info/approximate_connection_time"));
    attempt.reset();
    not_before.reset();
    report_hello(static_cast<int>(number_at(hello, "/num_connections")), app);
    // Only now: until here the old one was read and acknowledged on.
    if (old) close(*old, /*replaced=*/true);
  }

  void report_hello(int num_connections, const std::string& app) {
    const int ours = static_cast<int>(connections.size());
    out.emplace_back(Hello{.num_connections = num_connections, .held = ours, .app = app});
    if (num_connections <= ours) return;
    out.emplace_back(Warn{
        fmt::format("Slack counts {} connections of this app and we hold {}: another process uses the same "
                    "token, or dead registrations linger; Slack sends part of the traffic there",
                    num_connections, ours)});
  }

  // Before Slack asks for it, so that the moment is ours. Spread, so that two processes don't move together.
  std::optional<TimePoint> rotation_time(std::int64_t life_seconds) {
    if (life_seconds <= 0) return std::nullopt;
    const double share = 0.9 + std::uniform_real_distribution(-0.05, 0.05)(random);
    const double wanted = share * static_cast<double>(std::min(life_seconds, kLongestLifeSeconds));
    return now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wanted));
  }

  void told_to_go(Epoch epoch, const json& message) {
    const std::string reason = text_at(message, "/reason");
    switch (goodbye_for(reason)) {
      case Goodbye::replace:
        return replacement_requested(epoch, reason);
      case Goodbye::too_many:
        // Overlapping would make it worse: this one is closed first, and the next one waits.
        return step_back(
            epoch,
            fmt::format("too_many_websockets: Slack counts {} connections of this app and we hold {}",
                        number_at(message, "/num_connections"), connections.size()),
            Duration::zero());
      case Goodbye::disabled:
        return step_back(epoch, "link_disabled: Socket Mode is switched off in the app's settings",
                         options.link_disabled_backoff);
    }
  }

  void replacement_requested(Epoch epoch, const std::string& reason) {
    if (attempt && attempt->epoch == epoch) {
      close(epoch);
      return attempt_failed("sent away before hello: " + reason);
    }
    Connection& connection = connections.at(epoch);
    if (!connection.close_at) connection.close_at = now + options.old_connection_limit;
    connection.rotate_at.reset();
    if (std::exchange(connection.outdated, true)) return;
    replace_soon(connection);
  }

  void step_back(Epoch epoch, const std::string& why, Duration at_least) {
    close(epoch);
    if (current == epoch) current.reset();
    if (attempt && attempt->epoch != epoch) {  // it goes on; it will be told the same if it still holds
      last_trouble = why;
      out.emplace_back(Warn{why});
    } else {
      attempt_failed(why, at_least);
    }
  }

  // ---- attempts and their pauses

  bool attempting(Epoch epoch, Attempt::Step step) const {
    return life == Life::running && attempt && attempt->epoch == epoch && attempt->step == step;
  }

  void attempt_failed(const std::string& why, Duration at_least = Duration::zero()) {
    attempt.reset();
    last_trouble = why;
    const Duration pause = std::max(at_least, Duration::zero()) + backoff();
    not_before = now + pause;
    ++troubles;
    out.emplace_back(Warn{fmt::format("{}; trying again in {:.1f} s", why, seconds(pause))});
  }

  // A connection that had lasted is replaced at once; one that hadn't is a failure like any other.
  void replace_soon(const Connection& ending) {
    if (now - ending.hello_at >= options.stable_after) troubles = 0;
    if (attempt || not_before) return;  // one is on its way, or waiting: never a second one
    if (troubles > 0) not_before = now + backoff();
    ++troubles;
  }

  // Full jitter: anything up to a ceiling that doubles with every failure. Not quite zero, which would be a
  // loop.
  Duration backoff() {
    const int doublings = std::clamp(troubles - 1, 0, 20);
    const Duration ceiling = std::min(options.longest_backoff, options.first_backoff * (1L << doublings));
    const Duration least = options.first_backoff / 10;
    return Duration(std::uniform_int_distribution(least.count(), std::max(least, ceiling).count())(random));
  }

  bool replacement_wanted() const { return !current || connections.at(*current).outdated; }

  void close(Epoch epoch, bool replaced = false) {
    connections.at(epoch).stage = Connection::Stage::closing;
    out.emplace_back(CloseConnection{.epoch = epoch, .replaced = replaced});
  }

  void finish(Life end, const std::string& why) {
    life = end;
    if (attempt && !connections.contains(attempt->epoch) && attempt->step != Attempt::Step::url) {
      out.emplace_back(CloseConnection{.epoch = attempt->epoch});
    }
    for (auto& [epoch, connection] : connections) {
      if (connection.stage != Connection::Stage::closing) close(epoch);
    }
    attempt.reset();
    current.reset();
    not_before.reset();
    last_trouble = why;
  }

  // ---- what follows

  void settle() {
    if (life == Life::running) {
      expire();
      begin_if_due();
    }
    announce();
    arm();
  }

  void expire() {
    if (attempt && attempt->deadline && *attempt->deadline <= now) {
      const Epoch late = attempt->epoch;
      const char* missing = attempt->step == Attempt::Step::hello ? "no hello" : "no connection";
      if (connections.contains(late)) {
        close(late);
      } else {
        out.emplace_back(CloseConnection{.epoch = late});
      }
      attempt_failed(fmt::format("{} within {:.0f} s", missing, seconds(options.hello_limit)));
    }
    if (!current) return;
    Connection& connection = connections.at(*current);
    if (connection.rotate_at && *connection.rotate_at <= now) {
      connection.rotate_at.reset();
      if (!std::exchange(connection.outdated, true)) replace_soon(connection);
    }
    if (connection.close_at && *connection.close_at <= now) {
      close(*current);
      current.reset();
      last_trouble = "Slack wanted the connection replaced, and there is no replacement yet";
    }
  }

  void begin_if_due() {
    if (!replacement_wanted() || attempt || (not_before && *not_before > now)) return;
    not_before.reset();
    attempt = Attempt{.epoch = ++last_epoch};
    out.emplace_back(RequestUrl{attempt->epoch});
  }

  Link link() const {
    switch (life) {
      case Life::idle:
      case Life::stopped:
        return Link::stopped;
      case Life::dead:
        return Link::dead_token;
      case Life::running:
        return current ? Link::ready : Link::connecting;
    }
    return Link::stopped;
  }

  void announce() {
    if (life == Life::idle || told == link()) return;
    told = link();
    out.emplace_back(LinkChanged{.link = *told, .detail = told == Link::ready ? "" : last_trouble});
  }

  std::optional<TimePoint> next_deadline() const {
    if (life != Life::running) return std::nullopt;
    std::optional<TimePoint> next;
    const auto consider = [&next](const std::optional<TimePoint>& at) {
      if (at && (!next || *at < *next)) next = at;
    };
    if (attempt) {
      consider(attempt->deadline);
    } else if (replacement_wanted()) {
      consider(not_before);
    }
    if (current) {
      consider(connections.at(*current).rotate_at);
      consider(connections.at(*current).close_at);
    }
    return next;
  }

  void arm() {
    const std::optional<TimePoint> next = next_deadline();
    if (next == armed) return;
    armed = next;
    if (next) {
      out.emplace_back(SetTimer{*next});
    } else {
      out.emplace_back(ClearTimer{});
    }
  }
};

Session::Session(SessionOptions options, std::uint64_t seed)
    : state_(std::make_shared<State>(std::move(options), seed)) {}

std::vector<Output> Session::step(const Input& input, TimePoint now) {
  state_->now = now;
  std::visit([this](const auto& event) { state_->on(event); }, input);
  state_->settle();
  return std::exchange(state_->out, {});
}

bool Session::ready() const { return state_->link() == Link::ready; }

int Session::held() const { return static_cast<int>(state_->connections.size()); }

std::optional<Epoch> Session::current() const { return state_->current; }

}  // namespace keyturn::slack
