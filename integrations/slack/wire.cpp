// The Web API's formats and error words. See wire.h.
#include "integrations/slack/wire.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "integrations/http_failure.h"
#include "integrations/net/url.h"

namespace keyturn::slack {
namespace {

using integrations::Failure;
using integrations::System;
using nlohmann::json;
using storage::Duration;
using Details = integrations::ApiError::Details;

// The reference pages say per method whether it takes JSON. The methods that Slack calls GET ones don't.
constexpr std::array<std::string_view, 10> kJsonMethods = {
    "auth.test", "chat.postMessage",   "chat.update",        "chat.postEphemeral",  "chat.delete",
    "team.info", "conversations.open", "conversations.join", "conversations.close", "conversations.history"};

constexpr std::array<std::string_view, 22> kRepeatableMethods = {
    // these read
    "auth.test", "apps.connections.open", "bots.info", "blocks.validate", "conversations.history",
    "conversations.info", "conversations.list", "conversations.members", "conversations.replies", "team.info",
    "users.conversations", "users.info", "users.list", "users.lookupByEmail", "usergroups.list",
    "usergroups.users.list", "chat.getPermalink",
    // these set what they set before
    "chat.update", "conversations.join", "conversations.open", "views.publish", "chat.delete"};

constexpr std::array<std::string_view, 11> kOurTokenRefused = {
    "invalid_auth",       "account_inactive", "token_revoked",
    "token_expired",      "not_authed",       "user_removed_from_team",
    "team_disabled",      "forbidden_team",   "not_allowed_token_type",
    "org_login_required", "ekm_access_denied"};

constexpr std::array<std::string_view, 17> kNotAllowed = {"missing_scope",
                                                          "no_permission",
                                                          "access_denied",
                                                          "not_in_channel",
                                                          "user_not_in_channel",
                                                          "user_not_visible",
                                                          "is_archived",
                                                          "restricted_action",
                                                          "messages_tab_disabled",
                                                          "method_not_supported_for_channel_type",
                                                          "plan_upgrade_required",
                                                          "enterprise_is_restricted",
                                                          "cant_update_message",
                                                          "cant_delete_message",
                                                          "edit_window_closed",
                                                          "not_enabled",
                                                          "team_access_not_granted"};

constexpr std::array<std::string_view, 3> kTryLater = {"service_unavailable", "request_timeout",
                                                       "team_added_to_org"};
// "Some aspect of the operation may have succeeded":
// https://docs.slack.dev/reference/methods/chat.postMessage
constexpr std::array<std::string_view, 2> kMayHaveHappened = {"internal_error", "fatal_error"};

constexpr Duration kDefaultRetryAfter = std::chrono::seconds(30);

bool takes_json(std::string_view method) {
  return method.starts_with("views.") || is_one_of(kJsonMethods, method);
}

std::string as_field(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string as_form(const json& arguments) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, value] : arguments.items()) {
    if (!value.is_null()) fields.emplace_back(name, as_field(value));
  }
  return net::form_encode(fields);
}

std::string as_json(const json& arguments) {
  json kept = json::object();
  for (const auto& [name, value] : arguments.items()) {
    if (!value.is_null()) kept[name] = value;
  }
  return kept.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Error words are a vendor's text: only what looks like one gets into our logs.
std::string error_word(const json& answer) {
  const auto found = answer.find("error");
  if (found == answer.end() || !found->is_string()) return {};
  const auto& word = found->get_ref<const std::string&>();
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return word.size() <= 64 && std::ranges::all_of(word, plain) ? word : "an error without a name";
}

Failure failure_for(std::string_view word, bool may_repeat) {
  if (is_one_of(kOurTokenRefused, word)) return Failure::unauthorized;
  if (is_one_of(kNotAllowed, word) || word.starts_with("restricted_action")) return Failure::forbidden;
  if (word == "not_found" || word == "no_such_subteam" || word.ends_with("_not_found"))
    return Failure::not_found;
  if (is_one_of(kTryLater, word)) return Failure::busy;
  if (is_one_of(kMayHaveHappened, word)) return may_repeat ? Failure::busy : Failure::ambiguous;
  return Failure::refused;
}

// Only 200 and 429 say something of their own (https://docs.slack.dev/apis/web-api/rate-limits); the rest
// comes from whatever stands before Slack.
Failure failure_for_status(int status, bool may_repeat) {
  if (status == 503) return Failure::busy;
  if (status >= 500) return may_repeat ? Failure::busy : Failure::ambiguous;
  return Failure::not_understood;
}

Duration retry_after(const net::Response& response) {
  const std::string text = response.header("Retry-After");
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0 || seconds > 24L * 3600) {
    return kDefaultRetryAfter;
  }
  return std::chrono::seconds(seconds);
}

std::string in_our_words(const std::string& method) {
  if (method == "chat.postMessage" || method == "chat.postEphemeral") return "post a message";
  if (method == "chat.update") return "update a message";
  if (method == "chat.getPermalink") return "ask for a message's link";
  if (method == "conversations.open") return "open a direct message";
  if (method == "views.open" || method == "views.push") return "open a form";
  if (method == "views.publish") return "publish the home tab";
  if (method == "users.info") return "look up a user";
  if (method == "usergroups.users.list") return "list a user group";
  if (method == "apps.connections.open") return "ask for a socket";
  if (method == "auth.test") return "check the token";
  if (method == "openid.connect.token") return "check a sign-in";
  return "call " + method;
}

Details details_of(std::string operation, Failure failure, std::string reason,
                   const net::Response& response) {
  return {.system = System::slack,
          .failure = failure,
          .operation = std::move(operation),
          .reason = std::move(reason),
          .status = response.status,
          .request_id = integrations::request_id_from(response.header("x-slack-req-id")),
          .retry_after = std::nullopt};
}

Wait wait_for(std::string operation, const net::Response& response) {
  Wait wait{.duration = retry_after(response),
            .otherwise = details_of(std::move(operation), Failure::busy, "ratelimited", response)};
  wait.otherwise.retry_after = wait.duration;
  return wait;
}

// Slack's own verdict, whatever the status: an object with a boolean `ok`. Anything else is somebody else's
// page.
json answer_in(const net::Response& response) {
  json answer = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) return {};
  return answer;
}

bool is_rate_limit(std::string_view word) { return word == "ratelimited" || word == "rate_limited"; }

bool belongs_to(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.';
}

}  // namespace

bool repeatable(std::string_view method) { return is_one_of(kRepeatableMethods, method); }

net::Request request_for(const std::string& base, const std::string& method, const json& arguments) {
  const bool json_body = takes_json(method);
  net::Request request;
  request.method = "POST";
  request.url = base + "/" + method;
  request.headers = {
      {"Content-Type", json_body ? "application/json; charset=utf-8" : "application/x-www-form-urlencoded"}};
  request.body = json_body ? as_json(arguments) : as_form(arguments);
  return request;
}

Verdict judge(const std::string& method, const net::Response& response) {
  const std::string operation = in_our_words(method);
  if (response.status == 429) return wait_for(operation, response);
  json answer = answer_in(response);
  if (answer.is_null() || (response.status != 200 && answer["ok"].get<bool>())) {
    const Failure failure = response.status == 200 ? Failure::not_understood
                                                   : failure_for_status(response.status, repeatable(method));
    const std::string reason =
        response.status == 200 ? "an answer of unknown shape" : fmt::format("http {}", response.status);
    return details_of(operation, failure, reason, response);
  }
  if (answer["ok"].get<bool>()) return answer;
  const std::string word = error_word(answer);
  if (word.empty())
    return details_of(operation, Failure::not_understood, "an error without a name", response);
  if (is_rate_limit(word)) return wait_for(operation, response);
  return details_of(operation, failure_for(word, repeatable(method)), word, response);
}

std::optional<std::set<std::string>> granted_scopes(const net::Headers& headers) {
  const auto header = net::find_header(headers, "X-OAuth-Scopes");
  if (!header) return std::nullopt;
  // Only what scopes are made of: they go into messages.
  const auto in_scope = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '_' || c == '-';
  };
  std::set<std::string> scopes;
  std::string scope;
  for (const char c : *header + ",") {
    if (in_scope(c)) {
      scope += c;
    } else if (!scope.empty()) {
      scopes.insert(std::exchange(scope, ""));
    }
  }
  return scopes;
}

std::optional<Details> judge_reply(const net::Response& response) {
  const std::string operation = "reply to a command";
  if (response.status == 429) return wait_for(operation, response).otherwise;
  const json answer = answer_in(response);
  if (!answer.is_null() && !answer["ok"].get<bool>()) {
    const std::string word = error_word(answer);
    return details_of(operation, failure_for(word, /*may_repeat=*/false), word, response);
  }
  if (response.status == 200) return std::nullopt;  // "ok" as plain text, or {"ok":true}
  if (response.status == 404 || response.status == 410) {
    return details_of(operation, Failure::refused, "the reply link has expired or is used up", response);
  }
  return details_of(operation, failure_for_status(response.status, /*may_repeat=*/false),
                    fmt::format("http {}", response.status), response);
}

bool may_reply_to(const std::string& url, const std::string& base) {
  const auto target = net::parse_url(url);
  if (!target) return false;
  if (target->secure() && target->scheme == "https" && target->host == "hooks.slack.com" &&
      target->port == 443) {
    return true;
  }
  const auto ours = net::parse_url(base);
  return ours && target->origin() == ours->origin();
}

bool may_connect_to(const std::string& url, bool allow_loopback) {
  const auto target = net::parse_url(url);
  if (!target) return false;
  if (allow_loopback && target->loopback()) return target->scheme == "ws" || target->scheme == "wss";
  return target->scheme == "wss" &&
         (belongs_to(target->host, "slack.com") || belongs_to(target->host, "slack-gov.com"));
}

}  // namespace keyturn::slack
