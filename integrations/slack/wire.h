// How a Web API call looks on the wire, and what an answer means: pure, so that every odd answer is a unit
// test. Sources: https://docs.slack.dev/apis/web-api/ (formats, errors, rate limits) and each method's
// reference page.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "integrations/error.h"
#include "integrations/net/message.h"

namespace keyturn::slack {

// Slack says what happened in words, and there are lists of them for each answer.
bool is_one_of(const auto& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// Whether a second call after a lost answer does no harm: it only reads, or it sets what it set before. For
// all other methods a lost answer is Failure::ambiguous.
bool repeatable(std::string_view method);

// "POST <base>/<method>" with the arguments in the format that the method takes. Nulls are left out.
net::Request request_for(const std::string& base, const std::string& method, const nlohmann::json& arguments);

// Asked to wait: a 429, or the error word "ratelimited".
struct Wait {
  storage::Duration duration;
  integrations::ApiError::Details otherwise;  // when there is no time to
};

// The answer's object when it says ok:true, and only then. `response` must be whole.
using Verdict = std::variant<nlohmann::json, Wait, integrations::ApiError::Details>;
Verdict judge(const std::string& method, const net::Response& response);

// "X-OAuth-Scopes: chat:write,users:read", which Slack adds to an answer: what the calling token may do
// (https://docs.slack.dev/authentication/installing-with-oauth). Nothing without that header.
std::optional<std::set<std::string>> granted_scopes(const net::Headers& headers);

// What an answer of a response_url means: nothing when the message was taken.
std::optional<integrations::ApiError::Details> judge_reply(const net::Response& response);

// Whether `url` is where replies may go: hooks.slack.com over TLS, or the host of `base` itself. An envelope
// is a stranger's input, and this keeps it from choosing whom we speak to.
bool may_reply_to(const std::string& url, const std::string& base);

// Whether `url`, which apps.connections.open answered, is Slack's: wss:// below slack.com or slack-gov.com.
// With `allow_loopback` (a sandbox) ws:// and wss:// on this machine too.
bool may_connect_to(const std::string& url, bool allow_loopback);

}  // namespace keyturn::slack
