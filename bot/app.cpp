#include "bot/app.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <map>
#include <set>
#include <utility>

#include "bot/intake/intake.h"
#include "bot/log.h"
#include "bot/metrics.h"
#include "bot/router.h"
#include "bot/status_pages.h"
#include "commands/cadence.h"
#include "commands/drift_watch.h"
#include "commands/offboarding.h"
#include "commands/rotation/replay.h"
#include "commands/rotation_form.h"
#include "commands/slack_desk.h"
#include "integrations/heroku/heroku.h"
#include "integrations/infisical/infisical.h"
#include "integrations/net/http_server.h"
#include "integrations/net/url.h"
#include "integrations/probe/endpoint_probe.h"
#include "integrations/slack/openid.h"
#include "integrations/slack/socket_mode.h"
#include "integrations/stripe/stripe.h"
#include "storage/sqlite/database.h"

namespace keyturn::bot {

namespace asio = boost::asio;
using commands::rotation::Action;
using commands::rotation::State;
using nlohmann::json;
using storage::Duration;

namespace {

constexpr Duration kShutdownLimit = std::chrono::seconds(10);
constexpr Duration kGaugeInterval = std::chrono::seconds(5);
constexpr Duration kSlackRetry = std::chrono::seconds(5);
constexpr Duration kAlarmPause = std::chrono::seconds(15);
constexpr int kAlarmTries = 240;  // an hour
// An operator's browser opens six at most; an office behind one address still fits.
constexpr std::size_t kFormConnectionsPerPeer = 64;

net::ClientOptions client_options(const Config& config) {
  net::ClientOptions options;
  options.allow_plain_loopback = config.allow_plain_loopback;
  options.certificate_authorities = config.certificate_authorities;
  options.user_agent = "keyturn/0.1";
  return options;
}

// A handler that throws is answered with 500 and no details; the details belong here.
void report_handler(const std::string& path, std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log::error("a web handler failed", {{"path", path}, {"why", error.what()}});
  }
}

commands::FormProof form_proof(const Config& config) {
  return config.form.sign_in ? commands::FormProof::sign_in : commands::FormProof::code;
}

// Slack's pages are where its methods are: "https://slack.com/api" and "https://slack.com/openid/...".
slack::OpenIdClient openid_client(const Config& config) {
  return {.origin = net::parse_url(config.slack.api)->origin(),
          .client_id = config.slack.client_id,
          .redirect_uri = config.form.public_url + "/form",
          .team = config.slack.team};
}

net::ServerOptions form_options(const FormSettings& form) {
  net::ServerOptions options;
  options.address = form.address;
  options.port = form.port;
  options.report = report_handler;
  options.certificate_file = form.certificate_file;
  options.private_key_file = form.private_key_file;
  // So that nobody alone can keep the operator out. Behind a proxy all connections have the proxy's address:
  // a cap would be one on everybody together, and who gets how many is the proxy's business.
  options.connections_per_peer = form.behind_proxy ? 0 : kFormConnectionsPerPeer;
  return options;
}

net::ServerOptions metrics_options(const MetricsSettings& metrics) {
  net::ServerOptions options;
  options.address = metrics.address;
  options.port = metrics.port;
  options.report = report_handler;
  return options;
}

// The journal, as everybody else sees it, with a memory of whether the last commit worked.
class WatchedJournal final : public storage::Journal {
 public:
  explicit WatchedJournal(storage::Journal& inner) : inner_(inner) {}
  asio::awaitable<storage::Committed> commit(storage::Batch batch) override {
    try {
      auto committed = co_await inner_.commit(std::move(batch));
      writable_ = true;
      co_return committed;
    } catch (...) {
      writable_ = false;
      throw;
    }
  }
  asio::awaitable<std::optional<storage::SealedBox>> box(storage::BoxName name) override {
    co_return co_await inner_.box(std::move(name));
  }
  asio::awaitable<std::vector<storage::Entry>> entries_of(std::string rotation) override {
    co_return co_await inner_.entries_of(std::move(rotation));
  }
  bool writable() const { return writable_; }

 private:
  storage::Journal& inner_;
  bool writable_ = true;
};

// What the journal held when it was opened.
struct Replayed {
  explicit Replayed(storage::TimePoint now) : rotations(now) {}
  void add(storage::Entry entry) {
    if (!entry.rotation.empty()) return rotations.add(std::move(entry));
    if (entry.type != commands::kCommandRefused)
      others.push_back(std::move(entry));  // strangers can make many
  }
  commands::rotation::Replay rotations;
  std::vector<storage::Entry> others;
};

}  // namespace

// In the order in which they depend on each other; destroyed the other way round.
struct App::Parts {
  Parts(Config settings, Secrets secrets)
      : config(std::move(settings)),
        http(io.get_executor(), client_options(config)),
        database(io.get_executor(), config.journal,
                 [this](storage::Entry entry) { replayed.add(std::move(entry)); }),
        journal(database),
        bot_api(http, config.slack.api, secrets.slack_bot_token, api_observer("slack")),
        app_api(http, config.slack.api, secrets.slack_app_token, api_observer("slack")),
        stripe(http, clock, config.stripe_api, api_observer("stripe")),
        infisical(http, clock, config.infisical_api,
                  {config.infisical_client_id, secrets.infisical_client_secret}, api_observer("infisical")),
        heroku(http, config.heroku_api, secrets.heroku_token, api_observer("heroku")),
        billing(http, clock, api_observer("billing")),
        vault(secrets.sealing_key, journal),
        slack_desk(bot_api, config.slack.team),
        performer({.provider = stripe,
                   .store = infisical,
                   .consumer = heroku,
                   .health = billing,
                   .people = slack_desk,
                   .vault = vault,
                   .clock = clock,
                   .form_url = config.form.public_url + "/form",
                   .form_proof = form_proof(config),
                   .superadmins = [this] { return authority.superadmins(); },
                   .every_superadmin = [this] { return authority.every_superadmin(); }}),
        announcer(io.get_executor(), slack_desk, clock, trouble()),
        runner(io.get_executor(), journal, clock, performer,
               {.changed = [this](const State& state) { changed(state); },
                .acted = [this](const State& state, const Action& action, Duration took,
                                const std::string& outcome) { acted(state, action, took, outcome); },
                .trouble = trouble()}),
        authority(bot_api, clock, config.slack.superadmins, config.slack.superadmin_group),
        desk{runner,
             journal,
             clock,
             authority,
             config.targets,
             config.slack.channel,
             config.slack.team,
             config.slack.app,
             &slack_desk},
        cadence(io.get_executor(), desk, slack_desk, infisical, vault, trouble()),
        offboarding(io.get_executor(), desk, slack_desk, trouble()),
        drift_repairs(io.get_executor(), desk, drift_systems(), trouble()),
        drift_watch(io.get_executor(), desk, slack_desk, cadence, drift_systems(), trouble()),
        homes(io.get_executor(), bot_api, desk, trouble()),
        router(desk, bot_api, homes),
        form(runner, vault, clock, form_proof(config)),
        openid(http, clock, openid_client(config), secrets.slack_client_secret, api_observer("slack")),
        sign_in(
            openid_client(config),
            [this](std::string code, std::string nonce) {
              return openid.exchange(std::move(code), std::move(nonce));
            },
            clock),
        intake(
            form, config.form.own_tls(), [this](const std::string& event) { metrics.form(event); },
            {.behind_proxy = config.form.behind_proxy, .sign_in = config.form.sign_in ? &sign_in : nullptr}),
        form_server(io.get_executor(), form_options(config.form), intake.handler()),
        status_server(io.get_executor(), metrics_options(config.metrics),
                      status_pages(metrics, [this] { return readiness(); })),
        socket(
            io.get_executor(), app_api, clock, client_options(config), {.expected_app = config.slack.app},
            [this](slack::Envelope envelope) { return router.route(std::move(envelope)); }, socket_events()),
        tasks(io.get_executor(),
              [this](const std::string& task, std::exception_ptr failure) { failed(task, failure); }) {
    announcer.attach(runner);
    desk.master_key_seen = [this](std::string where, const std::string& sight) {
      if (master_keys_told.insert(sight).second) tasks.spawn("alarm", tell_of_master_key(std::move(where)));
    };
    desk.drifts_changed = [this] {
      drift_repairs.start();
      drift_watch.changed();
      homes.changed();
    };
  }

  std::function<void(const std::string&, const std::string&)> api_observer(const char* system) {
    return [this, system](const std::string& operation, const std::string& outcome) {
      metrics.api_call(system, operation, outcome);
    };
  }

  commands::DriftSystems drift_systems() {
    return {.store = infisical, .consumer = heroku, .provider = stripe, .vault = vault};
  }

  std::function<void(const std::string&, const std::string&)> trouble() {
    return [](const std::string& what, const std::string& why) {
      log::warning("trouble", {{"in", what}, {"why", why}});
    };
  }

  void changed(const State& state) {
    announcer.changed(state);
    homes.changed();
    offboarding.changed();
    const auto now = clock.now();
    const std::string stage(commands::rotation::name_of(commands::rotation::stage_of(state, now)));
    if (std::exchange(stages[state.id], stage) == stage) return;
    log::info("rotation", {{"rotation", state.id}, {"target", state.target.name()}, {"stage", stage}});
    if (!state.closed) return;
    metrics.rotation_closed(state.closed->event.outcome);
    cadence.changed();
  }

  void acted(const State& state, const Action& action, Duration took, const std::string& outcome) {
    const std::string step(commands::rotation::name_of(action.kind));
    metrics.step_took(step, took);
    log::info("action", {{"rotation", state.id},
                         {"action", step},
                         {"subject", action.subject},
                         {"outcome", outcome},
                         {"milliseconds", std::to_string(took.count())}});
  }

  slack::SocketModeEvents socket_events() {
    return {.link =
                [this](slack::Link link, const std::string& detail) {
                  static constexpr const char* names[] = {"connecting", "ready", "stopped", "dead_token"};
                  const char* name = names[static_cast<int>(link)];
                  metrics.socket_link(name);
                  log::info("slack socket", {{"state", name}, {"detail", detail}});
                },
            .hello =
                [this](const slack::Hello& hello) {
                  metrics.socket_connections(hello.num_connections, hello.held);
                  log::info("slack hello", {{"num_connections", std::to_string(hello.num_connections)},
                                            {"held", std::to_string(hello.held)}});
                },
            .warn = [](const std::string& what) { log::warning("slack socket", {{"what", what}}); },
            .acknowledged = [this](Duration since, bool sent) { metrics.acknowledged(since, sent); }};
  }

  Readiness readiness() const {
    if (!journal.writable()) return {.ready = false, .why_not = "the journal refused the last commit"};
    if (!socket.ready()) return {.ready = false, .why_not = "Slack's socket is not connected"};
    return {.ready = true, .why_not = ""};
  }

  void failed(const std::string& task, std::exception_ptr failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      log::error("stopping", {{"task", task}, {"why", error.what()}});
    }
    exit_code = 1;
    stop_requested.cancel();
  }

  asio::awaitable<void> load();
  asio::awaitable<void> check_sealed_copies();
  asio::awaitable<void> check_workspace();
  asio::awaitable<void> follow_slack();
  asio::awaitable<void> keep_gauges();
  asio::awaitable<void> tell_of_master_key(std::string where);
  asio::awaitable<void> supervise();
  asio::awaitable<void> shut_down();

  asio::io_context io{1};
  Config config;
  storage::SystemClock clock;
  Metrics metrics;
  net::HttpClient http;
  Replayed replayed{clock.now()};
  storage::sqlite::Database database;
  WatchedJournal journal;
  slack::WebApi bot_api, app_api;
  stripe::Stripe stripe;
  infisical::Infisical infisical;
  heroku::Heroku heroku;
  probe::EndpointProbe billing;
  commands::rotation::Vault vault;
  commands::SlackDesk slack_desk;
  commands::rotation::RealPerformer performer;
  commands::Announcer announcer;
  std::map<std::string, std::string> stages;  // what the log said last, by rotation
  std::set<std::string> master_keys_told;     // sights that the team has been told of
  commands::rotation::Runner runner;
  commands::Authority authority;
  commands::Desk desk;
  commands::Cadence cadence;
  commands::Offboarding offboarding;
  commands::DriftRepairs drift_repairs;
  commands::DriftWatch drift_watch;
  commands::HomeTabs homes;
  Router router;
  commands::RotationForm form;
  slack::OpenId openid;  // used only with form.sign_in
  SignIn sign_in;
  Intake intake;
  net::HttpServer form_server, status_server;
  slack::SocketMode socket;
  net::TaskGroup tasks;
  asio::steady_timer stop_requested{io, asio::steady_timer::time_point::max()};
  int exit_code = 0;
};

// Slack's answer must name the workspace of the settings: a token of another one would tell the wrong people.
asio::awaitable<void> App::Parts::check_workspace() {
  for (;;) {
    try {
      const json answer = co_await bot_api.call("auth.test", json::object());
      const std::string team = answer.value("team_id", "");
      if (team != config.slack.team) {
        throw std::runtime_error("the bot token belongs to workspace " + team + ", and the settings say " +
                                 config.slack.team);
      }
      co_return;
    } catch (const integrations::ApiError& error) {
      if (!error.can_retry() && error.failure() != integrations::Failure::ambiguous) throw;
      log::warning("slack does not answer", {{"why", error.what()}});
    }
    co_await net::sleep_for(kSlackRetry);
  }
}

asio::awaitable<void> App::Parts::follow_slack() {
  co_await check_workspace();
  co_await socket.run();
}

asio::awaitable<void> App::Parts::keep_gauges() {
  for (;;) {
    std::map<std::string, int> open;
    for (const auto& [id, stage] : stages) ++open[stage];
    using commands::rotation::Stage;
    for (int stage = 0; stage < static_cast<int>(Stage::closed); ++stage) {
      const std::string name(commands::rotation::name_of(static_cast<Stage>(stage)));
      metrics.rotations_open(name, open[name]);
    }
    metrics.drifts_open(static_cast<int>(
        std::ranges::count_if(desk.drifts, [](const auto& entry) { return !entry.second.ended; })));
    co_await net::sleep_for(kGaugeInterval);
  }
}

// A sealing key that doesn't open what open rotations have sealed would be noticed only when it is too late.
// When it opens something, it is the right one, and what doesn't open was changed on the disk: that rotation
// stops when it comes to it, and the others go on.
asio::awaitable<void> App::Parts::check_sealed_copies() {
  int opened = 0;
  std::string shut;
  for (const auto& state : runner.all()) {
    for (const auto purpose : state->sealed()) {
      try {
        co_await vault.open(state->id, std::string(purpose));
        ++opened;
      } catch (const std::runtime_error& error) {
        shut = error.what();
        log::error("a sealed copy is of no use", {{"rotation", state->id}, {"why", shut}});
      }
    }
  }
  if (opened > 0 || shut.empty()) co_return;
  throw std::runtime_error(
      shut +
      "; is this the sealing key that the journal was written with? If it is, the copy was "
      "changed on the disk: restore a backup");
}

// What closed before this process began was logged and counted by the one before.
asio::awaitable<void> App::Parts::load() {
  runner.load(replayed.rotations.finish());
  const auto others = std::exchange(replayed.others, {});
  cadence.load(others);
  offboarding.load(others);
  drift_watch.load(others);
  co_await check_sealed_copies();
  for (const auto& state : runner.all()) {
    if (state->closed) stages[state->id] = commands::rotation::name_of(commands::rotation::Stage::closed);
  }
}

// The team hears of it as soon as Slack takes it; of one that is still there after a restart, again.
asio::awaitable<void> App::Parts::tell_of_master_key(std::string where) {
  for (int tries = 0; tries < kAlarmTries; ++tries) {
    try {
      co_await slack_desk.post(config.slack.channel, commands::views::master_key_seen(where), "");
      co_return;
    } catch (const integrations::ApiError& error) {
      log::warning("the alarm about a master key was not posted", {{"why", error.what()}});
    }
    co_await net::sleep_for(kAlarmPause);
  }
}

asio::awaitable<void> App::Parts::supervise() {
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    log::info("stopping", {{"signal", std::to_string(number)}});
    stop_requested.cancel();
  });
  tasks.spawn("form", form_server.run());
  tasks.spawn("status", status_server.run());
  tasks.spawn("gauges", keep_gauges());
  tasks.spawn("slack", follow_slack());
  tasks.spawn("cadence", cadence.run());
  tasks.spawn("offboarding", offboarding.run());
  tasks.spawn("drift watch", drift_watch.run());
  drift_repairs.start();
  runner.resume();
  log::info("started", {{"form", config.form.public_url},
                        {"form_port", std::to_string(form_server.port())},
                        {"status_port", std::to_string(status_server.port())},
                        {"targets", std::to_string(config.targets.size())}});
  boost::system::error_code ignored;
  co_await stop_requested.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  signals.cancel();
  co_await shut_down();
}

// Intake first, so that nothing new begins; then Slack with close frames; then what is going on, which the
// journal knows how to continue; the journal last.
asio::awaitable<void> App::Parts::shut_down() {
  form_server.stop();
  status_server.stop();
  co_await socket.stop();
  runner.stop();
  announcer.stop();
  homes.stop();
  drift_repairs.stop();
  const bool quiet = co_await runner.stopped(kShutdownLimit) && co_await announcer.stopped(kShutdownLimit) &&
                     co_await homes.stopped(kShutdownLimit) && co_await drift_repairs.stopped(kShutdownLimit);
  tasks.cancel();
  if (!quiet || !co_await tasks.wait(kShutdownLimit)) log::warning("some tasks did not end in time");
  co_await infisical.log_out();
  log::info("stopped");
}

App::App(Config config, Secrets secrets)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(secrets))) {}
App::~App() = default;

int App::run() {
  Parts& parts = *parts_;
  std::exception_ptr failure;
  const auto note = [&](std::exception_ptr thrown) {
    failure = thrown;
    parts.io.stop();
  };
  asio::co_spawn(parts.io, parts.load(), [&](std::exception_ptr thrown) {
    if (thrown) return note(thrown);
    asio::co_spawn(parts.io, parts.supervise(), [&](std::exception_ptr ended) {
      if (ended) note(ended);
      parts.io.stop();
    });
  });
  parts.io.run();
  if (failure) std::rethrow_exception(failure);
  return parts.exit_code;
}

}  // namespace keyturn::bot
