#include "bot/doctor/examination.h"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <filesystem>
#include <memory>
#include <utility>

#include "commands/rotation/syncs.h"
#include "commands/rotation/vault.h"
#include "commands/slack_desk.h"
#include "integrations/heroku/heroku.h"
#include "integrations/infisical/infisical.h"
#include "integrations/net/http_client.h"
#include "integrations/net/http_date.h"
#include "integrations/net/url.h"
#include "integrations/net/within.h"
#include "integrations/probe/endpoint_probe.h"
#include "integrations/slack/web_api.h"
#include "integrations/stripe/stripe.h"
#include "storage/fingerprint.h"
#include "storage/sqlite/database.h"

namespace keyturn::bot::doctor {

namespace asio = boost::asio;
using integrations::ApiError;
using nlohmann::json;
using storage::SharedSecret;

namespace {

constexpr storage::Duration kProxyLimit = std::chrono::seconds(10);
// Of a group: more superadmins than anybody has, and few enough for Slack's rate limit.
constexpr std::size_t kMostPeople = 80;

// The answer, or the failure of the world as a value.
template <typename T>
asio::awaitable<Reply<T>> replied(asio::awaitable<T> question) {
  try {
    co_return co_await std::move(question);
  } catch (const ApiError& error) {
    co_return std::unexpected(error.details());
  }
}

asio::awaitable<Reply<Fine>> replied(asio::awaitable<void> question) {
  try {
    co_await std::move(question);
    co_return Fine{};
  } catch (const ApiError& error) {
    co_return std::unexpected(error.details());
  }
}

bool flag_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

ChannelSeen read_channel(const json& answer) {
  const json channel = answer.value("channel", json::object());
  return {.member = flag_in(channel, "is_member"),
          .archived = flag_in(channel, "is_archived"),
          .shared_outside = flag_in(channel, "is_ext_shared")};
}

std::vector<std::string> read_members(const json& answer) {
  std::vector<std::string> members;
  for (const json& user : answer.value("users", json::array())) {
    if (user.is_string()) members.push_back(user.get<std::string>());
  }
  return members;
}

// The third of its parts, between dashes. Which app an app-level token is of, is no secret.
std::string app_in(const storage::Secret& token) {
  std::string_view text = token.expose();
  for (int dash = 0; dash < 2; ++dash) {
    const auto at = text.find('-');
    if (at == std::string_view::npos) return "";
    text.remove_prefix(at + 1);
  }
  const std::string_view app = text.substr(0, text.find('-'));
  return app.starts_with('A') && app.size() < 16 ? std::string(app) : "";
}

JournalSeen look_at_journal(const std::filesystem::path& file, const storage::SealingKey* key) {
  JournalSeen seen{.file = file.string(), .problem = {}, .fault = {}};
  std::error_code ignored;
  seen.folder_exists = std::filesystem::is_directory(
      file.has_parent_path() ? file.parent_path() : std::filesystem::path("."), ignored);
  seen.exists = std::filesystem::exists(file, ignored);
  if (!seen.exists) return seen;
  try {
    seen.fault = storage::sqlite::verify_chain(file, seen.entries);
    storage::sqlite::read_boxes(file, [&](const storage::NewBox& box) {
      ++seen.boxes;
      if (key != nullptr && !commands::rotation::opens(*key, box)) ++seen.shut;
    });
  } catch (const storage::sqlite::DatabaseError& error) {
    seen.problem = error.what();
  }
  return seen;
}

// Blocks for as long as the system's resolver does: nothing else runs yet.
Lookup look_up(const std::string& host) {
  addrinfo* addresses = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, nullptr, &addresses);
  if (error == 0) ::freeaddrinfo(addresses);
  if (error == 0) return Lookup::found;
  return error == EAI_NONAME ? Lookup::no_such_name : Lookup::no_answer;
}

FormSeen look_at_form(const FormSettings& settings) {
  FormSeen seen;
  const auto url = net::parse_url(settings.public_url);
  if (!url) return seen;
  seen.name = look_up(url->host);
  if (settings.own_tls()) {
    seen.certificate =
        net::inspect_certificate(settings.certificate_file, settings.private_key_file, url->host);
  }
  return seen;
}

class Examination {
 public:
  Examination(const Config& config, Secrets secrets)
      : config_(config),
        secrets_(std::move(secrets)),
        http_(io_.get_executor(), client_options()),
        bot_api_(http_, config.slack.api, secrets_.slack_bot_token, {}),
        app_api_(http_, config.slack.api, secrets_.slack_app_token, {}),
        people_(bot_api_, config.slack.team),
        infisical_(http_, clock_, config.infisical_api,
                   {config.infisical_client_id, secrets_.infisical_client_secret}, {}),
        heroku_(http_, config.heroku_api, secrets_.heroku_token, {}),
        stripe_(http_, clock_, config.stripe_api, {}),
        billing_(http_, clock_, {}) {
    if (secrets_.sealing_key) fingerprinter_.emplace(*secrets_.sealing_key);
    name_origin(config.slack.api, "Slack");
    name_origin(config.infisical_api, "Infisical");
    name_origin(config.heroku_api, "Heroku");
    name_origin(config.stripe_api, "Stripe");
  }

  void run(Observed& seen) {
    std::exception_ptr failure;
    asio::co_spawn(io_, ask_everybody(seen), [&](std::exception_ptr thrown) { failure = thrown; });
    io_.run();
    if (failure) std::rethrow_exception(failure);
    seen.clock = heard_;
    seen.now = clock_.now();
  }

 private:
  net::ClientOptions client_options() {
    net::ClientOptions options;
    options.allow_plain_loopback = config_.allow_plain_loopback;
    options.certificate_authorities = config_.certificate_authorities;
    options.user_agent = "keyturn/0.1 doctor";
    options.answered = [this](const std::string& origin, const net::Headers& headers) {
      hear_clock(origin, headers);
    };
    return options;
  }

  void name_origin(const std::string& url, const std::string& system) {
    if (const auto parsed = net::parse_url(url)) origins_[parsed->origin()] = system;
  }

  void hear_clock(const std::string& origin, const net::Headers& headers) {
    const auto system = origins_.find(origin);
    if (system == origins_.end()) return;
    const auto date = net::from_http_date(net::find_header(headers, "Date").value_or(""));
    if (!date) return;
    // A Date is cut to whole seconds: in the middle of it is nearest.
    heard_.ahead[system->second] = clock_.now() - *date - std::chrono::milliseconds(500);
  }

  asio::awaitable<void> ask_everybody(Observed& seen) {
    std::vector<asio::awaitable<void>> questions;
    questions.push_back(ask_slack(seen.slack));
    questions.push_back(ask_about_keys(seen));
    questions.push_back(ask_proxy(seen.form));
    co_await net::all(std::move(questions));
    co_await infisical_.log_out();
  }

  // ---- Slack
  asio::awaitable<void> ask_slack(SlackSeen& seen) {
    if (secrets_.slack_app_token) {
      seen.app_of_app_token = app_in(*secrets_.slack_app_token);
      // Hands out the address of a socket, which is thrown away: nobody connects.
      const auto answer = co_await replied(app_api_.call("apps.connections.open", json::object()));
      seen.app_token = answer ? Reply<Fine>(Fine{}) : std::unexpected(answer.error());
    }
    if (!secrets_.slack_bot_token) co_return;
    auto token = co_await replied(bot_api_.test_token());
    if (!token) {
      seen.bot_token = std::unexpected(token.error());
      co_return;
    }
    seen.bot_token = BotTokenSeen{.team = text_in(token->answer, "team_id"),
                                  .app = text_in(token->answer, "app_id"),
                                  .scopes = std::move(token->scopes)};
    const auto channel =
        co_await replied(bot_api_.call("conversations.info", json{{"channel", config_.slack.channel}}));
    seen.channel = channel ? Reply<ChannelSeen>(read_channel(*channel)) : std::unexpected(channel.error());
    co_await ask_about_people(seen);
  }

  asio::awaitable<void> ask_about_people(SlackSeen& seen) {
    std::set<std::string> people(config_.slack.superadmins.begin(), config_.slack.superadmins.end());
    if (!config_.slack.superadmin_group.empty()) {
      const auto answer = co_await replied(
          bot_api_.call("usergroups.users.list", json{{"usergroup", config_.slack.superadmin_group}}));
      seen.group =
          answer ? Reply<std::vector<std::string>>(read_members(*answer)) : std::unexpected(answer.error());
      if (answer) people.insert((*seen.group)->begin(), (*seen.group)->end());
    }
    for (const std::string& user : people) {
      if (seen.people.size() == kMostPeople) co_return;
      seen.people.emplace(user, co_await replied(people_.check(user)));
    }
  }

  // ---- the keys
  asio::awaitable<void> ask_about_keys(Observed& seen) {
    std::vector<SharedSecret> keys(config_.targets.size());
    seen.targets.resize(config_.targets.size());
    co_await ask_infisical(seen, keys);
    co_await ask_heroku(seen, keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const commands::Target& target = config_.targets[i];
      co_await ask_stripe(target, seen.targets[i], keys[i]);
      seen.targets[i].billing = co_await billing_.check(target.billing);
    }
  }

  asio::awaitable<void> ask_infisical(Observed& seen, std::vector<SharedSecret>& keys) {
    if (!secrets_.infisical_client_secret) co_return;
    // Asked for by itself, and nothing after it when it is refused: every further call would try again.
    seen.infisical_login = co_await replied(infisical_.log_in());
    if (!*seen.infisical_login) co_return;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const commands::Target& target = config_.targets[i];
      auto stored = co_await replied(infisical_.read(target.store, std::nullopt));
      if (stored) keys[i] = stored->value;
      seen.targets[i].stored =
          stored ? Reply<StoredKeySeen>(stored_key(target, *stored)) : std::unexpected(stored.error());
      const auto syncs = co_await replied(infisical_.syncs(target.store.project));
      using Seen = std::vector<commands::rotation::SyncSeen>;
      seen.targets[i].syncs =
          syncs ? Reply<Seen>(commands::rotation::syncs_of(target, *syncs)) : std::unexpected(syncs.error());
    }
  }

  asio::awaitable<void> ask_heroku(Observed& seen, const std::vector<SharedSecret>& keys) {
    for (std::size_t i = 0; i < keys.size(); ++i)
      seen.targets[i].apps.resize(config_.targets[i].consumers.size());
    if (!secrets_.heroku_token) co_return;
    seen.heroku_account = co_await replied(heroku_.account());
    if (!*seen.heroku_account) co_return;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      for (std::size_t j = 0; j < seen.targets[i].apps.size(); ++j) {
        co_await ask_about_app(config_.targets[i], config_.targets[i].consumers[j], keys[i],
                               seen.targets[i].apps[j]);
      }
    }
  }

  asio::awaitable<void> ask_about_app(const commands::Target& target,
                                      const commands::ConsumerTarget& consumer, SharedSecret key,
                                      AppSeen& seen) {
    seen.info = co_await replied(heroku_.info(consumer.app));
    if (!*seen.info) co_return;
    const auto config = co_await replied(heroku_.config(consumer.app, consumer.variable));
    if (!config) {
      seen.variable = std::unexpected(config.error());
      co_return;
    }
    VariableSeen variable;
    if (config->value) {
      variable.key = key_seen(target, *config->value);
      if (key) variable.as_stored = key->equals(*config->value);
    }
    seen.variable = std::move(variable);
  }

  // Only what may be a key of ours is ever sent to Stripe: a master key isn't used, not even to look.
  asio::awaitable<void> ask_stripe(const commands::Target& target, TargetSeen& seen, SharedSecret key) {
    if (!key || stripe::classify_paste(key->expose(), target.mode) != stripe::Pasted::restricted_key)
      co_return;
    std::vector<std::string> endpoints = target.permitted;
    endpoints.insert(endpoints.end(), target.denied.begin(), target.denied.end());
    for (const std::string& endpoint : endpoints) {
      seen.probes.push_back(co_await stripe_.probe(key, endpoint));
      if (seen.probes.back().status == 0) co_return;  // nobody there: the others would wait as long
    }
  }

  // ---- the form, where a proxy on this host ends its TLS
  asio::awaitable<void> ask_proxy(FormSeen& seen) {
    const auto url = net::parse_url(config_.form.public_url);
    if (!config_.form.behind_proxy || !url || !url->secure()) co_return;
    net::Request request;
    request.url = config_.form.public_url + "/form";  // a GET of it is inert
    try {
      const net::Response answer = co_await http_.send(std::move(request), kProxyLimit);
      seen.proxy = answer.status;
    } catch (const net::NetError& error) {
      seen.proxy = std::unexpected(std::string(error.what()));
    }
  }

  KeySeen key_seen(const commands::Target& target, const storage::Secret& key) const {
    return {.kind = stripe::classify_paste(key.expose(), target.mode),
            .fingerprint = fingerprinter_ ? fingerprinter_->of(key) : ""};
  }

  StoredKeySeen stored_key(const commands::Target& target, const integrations::StoredSecret& stored) const {
    StoredKeySeen seen{.version = stored.version,
                       .hidden = stored.hidden,
                       .rotated_by_store = stored.rotated_by_store,
                       .is_reference = stored.is_reference,
                       .key = {}};
    if (stored.value && !stored.hidden) seen.key = key_seen(target, *stored.value);
    return seen;
  }

  const Config& config_;
  const Secrets secrets_;
  asio::io_context io_{1};
  storage::SystemClock clock_;
  std::map<std::string, std::string> origins_;  // "https://slack.com" -> "Slack"
  ClockSeen heard_;
  net::HttpClient http_;
  slack::WebApi bot_api_, app_api_;
  commands::SlackDesk people_;
  infisical::Infisical infisical_;
  heroku::Heroku heroku_;
  stripe::Stripe stripe_;
  probe::EndpointProbe billing_;
  std::optional<storage::Fingerprinter> fingerprinter_;
};

}  // namespace

Observed examine(const std::string& file, const Config& config, SecretsFound secrets) {
  Observed seen;
  seen.settings = {.file = file,
                   .mistakes = {},
                   .targets = config.targets.size(),
                   .secret_problems = std::move(secrets.problems)};
  seen.journal = look_at_journal(config.journal, secrets.secrets.sealing_key.get());
  seen.form = look_at_form(config.form);
  Examination(config, std::move(secrets.secrets)).run(seen);
  return seen;
}

}  // namespace keyturn::bot::doctor
