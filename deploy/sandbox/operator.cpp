#include "deploy/sandbox/operator.h"

#include <spdlog/fmt/fmt.h>

#include "deploy/sandbox/rendered_blocks.h"
#include "deploy/sandbox/slack_people.h"
#include "deploy/sandbox/world.h"
#include "integrations/net/within.h"
#include "storage/base64url.h"
#include "storage/hpke.h"

namespace keyturn::sandbox {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr storage::Duration kLookEvery = 200ms;
constexpr storage::Duration kCallLimit = 10s;
constexpr storage::Duration kBetweenAttempts = 2s;

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

}  // namespace

Operator::Operator(asio::any_io_executor io, std::string control, storage::Duration limit, Tell tell)
    : control_(std::move(control)),
      limit_(limit),
      tell_(std::move(tell)),
      http_(std::move(io), {.allow_plain_loopback = true, .user_agent = "keyturn-sandbox operator"}) {}

asio::awaitable<json> Operator::ask(std::string method, std::string url, json body) {
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

asio::awaitable<json> Operator::does(std::string path, json wish) {
  co_return co_await ask("POST", control_ + path, std::move(wish));
}

asio::awaitable<void> Operator::arrive() {
  places_ = co_await ask("GET", control_ + "/places", nullptr);
  const json state = co_await ask("GET", control_ + "/state", nullptr);
  for (const json& channel : state.at("slack").at("channels")) {
    for (const char* kind : {"messages", "ephemerals"}) {
      for (const json& message : channel.at(kind)) before_.insert(message.at("ts"));
    }
  }
}

// ---- eyes

void Operator::tell_new_lines(const std::string& where, const json& message) {
  for (const std::string& line : lines_of(message)) {
    if (told_.insert(line).second) tell_(where, line);
  }
}

// Everything new in the channel and in the direct message, and what only the operator sees.
asio::awaitable<void> Operator::observe() {
  state_ = co_await ask("GET", control_ + "/state", nullptr);
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

asio::awaitable<json> Operator::wait_for(std::string channel, std::string what, Wanted wanted) {
  const auto since = clock_.now();
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
    if (clock_.now() - since > limit_) throw Stuck("waited in vain for " + what);
    co_await net::sleep_for(kLookEvery);
  }
}

asio::awaitable<void> Operator::hears(std::string channel, std::string words) {
  co_await wait_for(channel, fmt::format("\"{}\"", words), [&words](const json& message) {
    if (message.value("text", "").find(words) != std::string::npos) return true;
    for (const std::string& line : lines_of(message)) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  });
}

asio::awaitable<void> Operator::waits(storage::Duration time) {
  const auto until = clock_.now() + time;
  while (clock_.now() < until) {
    co_await observe();
    co_await net::sleep_for(kLookEvery);
  }
}

// ---- hands

asio::awaitable<std::string> Operator::type(std::string text) {
  tell_("ada", "/rotate " + text);
  const json answer =
      co_await does("/slack/command", {{"user", kOperator}, {"channel", kOpsChannel}, {"text", text}});
  if (!answer["error"].is_null()) throw Stuck("the command ended with " + answer["error"].dump());
  tell_("slack", fmt::format("acknowledged after {} ms", answer["milliseconds"].dump()));
  const json& acknowledged = answer["ack"];
  std::string words = acknowledged.is_object() ? plain_words(acknowledged.value("text", "")) : "";
  if (told_.insert(words).second) tell_("only for ada", words);
  co_return words;
}

asio::awaitable<void> Operator::start(std::string text) {
  const auto since = clock_.now();
  for (;;) {
    const std::string answer = co_await type(text);
    if (answer.find("started") != std::string::npos && answer.find("not over yet") == std::string::npos)
      co_return;
    if (answer.find("not over yet") == std::string::npos) throw Stuck("the command was answered: " + answer);
    if (clock_.now() - since > limit_) throw Stuck("the rotation before this one does not end");
    co_await type("cancel stripe prod --give-up");
    co_await waits(kBetweenAttempts);
  }
}

asio::awaitable<void> Operator::press(std::string action_id, std::string words) {
  const json message =
      co_await wait_for(kOperatorsDirect, fmt::format("the button \"{}\"", words),
                        [&action_id](const json& candidate) { return has_element(candidate, action_id); });
  tell_("ada", fmt::format("presses \"{}\"", words));
  const json result =
      co_await does("/slack/click", {{"user", kOperator},
                                     {"channel", kOperatorsDirect},
                                     {"ts", message["ts"]},
                                     {"action_id", action_id},
                                     {"state", everything_ticked(message, "rehearsal of a suspected leak")}});
  if (!result["error"].is_null()) throw Stuck("the click ended with " + result["error"].dump());
}

asio::awaitable<void> Operator::tick_boxes() {
  co_await wait_for(kOperatorsDirect, "the boxes to tick",
                    [](const json& candidate) { return has_element(candidate, "rotation_ready"); });
  tell_("ada", "ticks every box");
  co_await press("rotation_ready", "I'm ready: show me the steps");
}

asio::awaitable<Operator::Link> Operator::link() {
  const std::string prefix = places_["places"]["form"].get<std::string>() + "/form";
  const auto token_in = [&](const json& message) {
    const auto found = link_in(message, prefix);
    const auto at = found ? found->find('#') : std::string::npos;
    return at == std::string::npos ? std::string() : found->substr(at + 1);
  };
  const json message =
      co_await wait_for(kOperatorsDirect, "the link to the form", [&](const json& candidate) {
        const std::string token = token_in(candidate);
        return !token.empty() && !used_.contains(token);
      });
  co_return Link{.message = message, .origin = places_["places"]["form"], .token = token_in(message)};
}

asio::awaitable<json> Operator::look_at(Link link) {
  json form = co_await ask("POST", link.origin + "/form/look", {{"token", link.token}});
  if (form.value("state", "") != "open") throw Stuck("the form is " + form.value("state", "not understood"));
  co_return form;
}

asio::awaitable<std::chrono::seconds> Operator::instructed_grace() {
  const json form = co_await look_at(co_await link());
  mode_ = form.at("mode");
  tell_("form", fmt::format("for {} ({}), key \"{}\"", form.value("target", "?"), mode_,
                            form.value("dashboard_key_name", "?")));
  co_return std::chrono::seconds(form.at("recommended_grace_seconds").get<std::int64_t>());
}

asio::awaitable<std::string> Operator::rotate_in_dashboard(std::chrono::seconds expiration) {
  const std::string when = expiration == 0s ? "Now" : "in " + storage::in_words(expiration);
  tell_("ada", "dashboard: Rotate key, expiration " + when);
  rotated_at_ = clock_.now();
  const json rotated =
      co_await does("/stripe/rotate",
                    {{"name", kLiveKeyName}, {"mode", mode_}, {"expires_in_seconds", expiration.count()}});
  co_await does("/stripe/note",
                {{"id", rotated.at("id")}, {"note", fmt::format("Infisical: prod/{}", kVariable)}});
  co_return rotated.at("key");
}

asio::awaitable<json> Operator::paste(std::string key, std::chrono::seconds grace) {
  const Link found = co_await link();
  const json form = co_await look_at(found);
  tell_("ada", "types the code and pastes the key into the form, whose page seals it");
  const json filled = {{"key", key},
                       {"code", code_in(found.message)},
                       {"grace_seconds", grace.count()},
                       {"rotated_at", storage::to_iso8601(rotated_at_)}};
  json answer = co_await ask("POST", found.origin + "/form/submit", sealed(form, found.token, filled));
  const std::string outcome = answer.value("state", "not understood");
  if (outcome == "received") {
    used_.insert(found.token);
    tell_("form", "received; fingerprint " + answer.value("fingerprint", "?"));
  } else {
    tell_("form", outcome + ": " + answer.value("sentence", ""));
  }
  co_return answer;
}

asio::awaitable<void> Operator::hand_over(std::string key, std::chrono::seconds grace) {
  const json answer = co_await paste(std::move(key), grace);
  if (answer.value("state", "") != "received")
    throw Stuck("the form did not take the key: " + answer.value("sentence", answer.value("state", "?")));
}

}  // namespace keyturn::sandbox
