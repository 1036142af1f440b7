#include "deploy/sandbox/player.h"

#include <spdlog/fmt/fmt.h>

#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>

#include "deploy/sandbox/evidence.h"
#include "deploy/sandbox/rendered_blocks.h"
#include "deploy/sandbox/slack_people.h"
#include "deploy/sandbox/world.h"
#include "integrations/net/http_client.h"
#include "integrations/net/within.h"
#include "storage/base64url.h"
#include "storage/hpke.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kOperator = "U0ADMIN";
constexpr const char* kOperatorsDirect = "D0ADMIN";
constexpr storage::Duration kLookEvery = 200ms;
constexpr storage::Duration kCallLimit = 10s;

// The play can't go on; `what` is the reason, for the transcript.
struct Stuck : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Player {
 public:
  Player(boost::asio::any_io_executor io, PlayOptions options)
      : options_(std::move(options)),
        http_(io, {.allow_plain_loopback = true, .user_agent = "keyturn-sandbox play"}),
        started_(clock_.now()) {}

  boost::asio::awaitable<int> play();

 private:
  using Wanted = std::function<bool(const json& message)>;

  boost::asio::awaitable<void> go_through();
  boost::asio::awaitable<void> type_command();
  boost::asio::awaitable<void> confirm_prerequisites();
  boost::asio::awaitable<void> rotate_and_paste();
  boost::asio::awaitable<json> look_at_form(std::string origin, std::string token);
  boost::asio::awaitable<bool> judge(Evidence& evidence);

  boost::asio::awaitable<json> ask(std::string method, std::string url, json body);
  boost::asio::awaitable<json> control(std::string path, json body) {
    return ask("POST", options_.control + path, std::move(body));
  }
  // Looks at Slack until a message in `channel` is what is wanted, telling everything new on the way.
  boost::asio::awaitable<json> wait_for(std::string channel, std::string what, Wanted wanted);
  boost::asio::awaitable<void> forget_the_past();
  boost::asio::awaitable<void> observe();
  void tell_new_lines(const std::string& where, const json& message);
  void tell(const std::string& who, const std::string& what) const;

  PlayOptions options_;
  storage::SystemClock clock_;
  net::HttpClient http_;
  storage::TimePoint started_;
  json places_;
  json state_;
  std::string old_key_, new_key_;
  bool proof_announced_ = false;
  std::set<std::string> told_;    // lines; what stands in the channel and in the DM is told once
  std::set<std::string> before_;  // messages that were there before this play, of earlier rotations
};

// The six digits that stand in the message below the link.
std::string code_in(const json& message) {
  for (const std::string& line : lines_of(message)) {
    const auto at = line.find("this code: ");
    if (at != std::string::npos) return line.substr(at + std::string_view("this code: ").size());
  }
  throw Stuck("the direct message shows no code");
}

// What the form's page does in a browser (bot/intake/message.js).
json sealed(const json& form, const std::string& token, const json& filled) {
  const auto public_key = storage::from_base64url(form.at("public_key").get<std::string>());
  if (!public_key) throw Stuck("the form shows no key to seal to");
  const std::string binding = form.at("rotation").get<std::string>() + "\n" +
                              form.at("operator_id").get<std::string>() + "\n" + token;
  const auto message = storage::hpke::seal(*public_key, filled.dump(),
                                           {.info = "keyturn form v1", .associated_data = binding});
  return {{"token", token},
          {"enc", storage::to_base64url(message.encapsulated_key)},
          {"ciphertext", storage::to_base64url(message.ciphertext)}};
}

void Player::tell(const std::string& who, const std::string& what) const {
  const auto since = (clock_.now() - started_).count();
  std::cout << fmt::format("{:02}:{:02}.{:03}  {:<14}  {}", since / 60000, since / 1000 % 60, since % 1000,
                           who, what)
            << std::endl;
}

boost::asio::awaitable<json> Player::ask(std::string method, std::string url, json body) {
  net::Request request{.method = std::move(method), .url = url};
  if (!body.is_null()) {
    request.headers = {{"Content-Type", "application/json"}};
    request.body = body.dump();
  }
  const net::Response response = co_await http_.send(std::move(request), kCallLimit);
  json answer = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const std::string place = url.substr(0, url.find('#'));
  if (answer.is_discarded()) throw Stuck(fmt::format("{} answered {} and no JSON", place, response.status));
  if (response.status == 400)
    throw Stuck(fmt::format("{} refused: {}", place, answer.value("error", response.body)));
  co_return answer;
}

void Player::tell_new_lines(const std::string& where, const json& message) {
  for (const std::string& line : lines_of(message)) {
    if (told_.insert(line).second) tell(where, line);
  }
}

// Messages that are already there belong to earlier rotations: they are neither told nor waited for.
boost::asio::awaitable<void> Player::forget_the_past() {
  const json state = co_await ask("GET", options_.control + "/state", nullptr);
  for (const json& channel : state.at("slack").at("channels")) {
    for (const char* kind : {"messages", "ephemerals"}) {
      for (const json& message : channel.at(kind)) before_.insert(message.at("ts"));
    }
  }
}

// Everything new in the channel and in the direct message, and what only the operator sees.
boost::asio::awaitable<void> Player::observe() {
  state_ = co_await ask("GET", options_.control + "/state", nullptr);
  for (const json& channel : state_.at("slack").at("channels")) {
    const std::string id = channel.at("id");
    if (id != kOpsChannel && id != kOperatorsDirect) continue;
    const std::string where = channel.at("is_im") ? "DM" : "#" + channel.at("name").get<std::string>();
    for (const json& message : channel.at("messages")) {
      if (!before_.contains(message.at("ts"))) tell_new_lines(where, message);
    }
    for (const json& message : channel.at("ephemerals")) {
      const bool for_us = message.value("only_for", "") == kOperator && !before_.contains(message.at("ts"));
      if (for_us) tell_new_lines("only for ada", message);
    }
  }
}

boost::asio::awaitable<json> Player::wait_for(std::string channel, std::string what, Wanted wanted) {
  for (;;) {
    co_await observe();
    for (const json& candidate : state_["slack"]["channels"]) {
      if (candidate["id"] != channel) continue;
      // The newest first: an older message of the same kind has had its time.
      for (auto message = candidate["messages"].rbegin(); message != candidate["messages"].rend();
           ++message) {
        if (!before_.contains(message->at("ts")) && wanted(*message)) co_return *message;
      }
    }
    if (clock_.now() - started_ > options_.limit) throw Stuck("waited in vain for " + what);
    co_await net::sleep_for(kLookEvery);
  }
}

boost::asio::awaitable<void> Player::type_command() {
  const std::string text = options_.compromise ? "stripe prod --compromise" : "stripe prod";
  tell("ada", "/rotate " + text);
  const json answer =
      co_await control("/slack/command", {{"user", kOperator}, {"channel", kOpsChannel}, {"text", text}});
  if (!answer["error"].is_null()) throw Stuck("the command ended with " + answer["error"].dump());
  tell("slack", fmt::format("acknowledged after {} ms", answer["milliseconds"].dump()));
}

boost::asio::awaitable<void> Player::confirm_prerequisites() {
  const json message = co_await wait_for(kOperatorsDirect, "the boxes to tick", [](const json& candidate) {
    return has_element(candidate, "rotation_ready");
  });
  tell("ada", "ticks every box and clicks the button");
  const json result = co_await control(
      "/slack/click", {{"user", kOperator},
                       {"channel", kOperatorsDirect},
                       {"ts", message["ts"]},
                       {"action_id", "rotation_ready"},
                       {"state", everything_ticked(message, "rehearsal of a suspected leak")}});
  if (!result["error"].is_null()) throw Stuck("the click ended with " + result["error"].dump());
}

boost::asio::awaitable<json> Player::look_at_form(std::string origin, std::string token) {
  json form = co_await ask("POST", origin + "/form/look", {{"token", token}});
  if (form.value("state", "") != "open") throw Stuck("the form is " + form.value("state", "not understood"));
  tell("form", fmt::format("for {} ({}), key \"{}\"", form.value("target", "?"), form.value("mode", "?"),
                           form.value("dashboard_key_name", "?")));
  co_return form;
}

boost::asio::awaitable<void> Player::rotate_and_paste() {
  const std::string prefix = places_["places"]["form"].get<std::string>() + "/form";
  const json message =
      co_await wait_for(kOperatorsDirect, "the link to the form", [&prefix](const json& candidate) {
        const auto found = link_in(candidate, prefix);
        return found && found->find('#') != std::string::npos;
      });
  const std::string link = *link_in(message, prefix);
  const std::string origin = places_["places"]["form"];
  const std::string token = link.substr(link.find('#') + 1);
  const json form = co_await look_at_form(origin, token);
  const auto grace = form.at("recommended_grace_seconds").get<std::int64_t>();

  tell("ada", fmt::format("dashboard: Rotate key, expiration in {}",
                          storage::in_words(std::chrono::seconds(grace))));
  const auto rotated_at = clock_.now();
  const json rotated = co_await control(
      "/stripe/rotate",
      {{"name", form.at("dashboard_key_name")}, {"mode", form.at("mode")}, {"expires_in_seconds", grace}});
  new_key_ = rotated.at("key");
  co_await control("/stripe/note",
                   {{"id", rotated.at("id")}, {"note", fmt::format("Infisical: prod/{}", kVariable)}});
  tell("ada", "types the code and pastes the new key into the form, whose page seals it");
  const json filled = {{"key", new_key_},
                       {"code", code_in(message)},
                       {"grace_seconds", grace},
                       {"rotated_at", storage::to_iso8601(rotated_at)}};
  const json answer = co_await ask("POST", origin + "/form/submit", sealed(form, token, filled));
  const std::string outcome = answer.value("state", "not understood");
  if (outcome != "received") throw Stuck("the form said " + outcome + ": " + answer.value("sentence", ""));
  tell("form", "received; fingerprint " + answer.value("fingerprint", "?"));
}

boost::asio::awaitable<void> Player::go_through() {
  const auto announces = [](std::string words) {
    return
        [words](const json& message) { return message.value("text", "").find(words) != std::string::npos; };
  };
  co_await forget_the_past();
  co_await type_command();
  co_await confirm_prerequisites();
  co_await rotate_and_paste();
  co_await wait_for(kOpsChannel, "the summary in the channel", announces("rotated and verified"));
  co_await wait_for(kOpsChannel, "the reminder that the old key expires", announces("expires soon"));
  co_await wait_for(kOpsChannel, "the proof that the old key is dead", announces("proven dead"));
  proof_announced_ = true;
}

boost::asio::awaitable<bool> Player::judge(Evidence& evidence) {
  tell("auditor", "asks every system itself");
  auto facts = co_await evidence.collect(old_key_, new_key_);
  facts.push_back({.holds = proof_announced_,
                   .what = "the channel was told that the old key is proven dead",
                   .found = proof_announced_ ? "it was" : "it was not"});
  bool all = true;
  for (const Fact& fact : facts) {
    tell("auditor", fmt::format("{:<7} {} ({})", fact.holds ? "yes" : "MISSING", fact.what, fact.found));
    all = all && fact.holds;
  }
  co_return all;
}

boost::asio::awaitable<int> Player::play() {
  places_ = co_await ask("GET", options_.control + "/places", nullptr);
  Evidence evidence(http_, places_);
  old_key_ = co_await evidence.key_in_infisical();
  try {
    co_await go_through();
  } catch (const Stuck& stuck) {
    tell("player", std::string("STUCK: ") + stuck.what());
  } catch (const net::NetError& error) {
    tell("player", std::string("STUCK: no answer: ") + error.what());
  }
  const bool rotated = co_await judge(evidence);
  tell("player", rotated ? "rotated, and the old key is proven dead" : "NOT rotated: see what is missing");
  co_return rotated ? 0 : 1;
}

}  // namespace

boost::asio::awaitable<int> play(boost::asio::any_io_executor io, PlayOptions options) {
  Player player(io, std::move(options));
  co_return co_await player.play();
}

}  // namespace keyturn::sandbox
