// What Heroku's answers mean. Pure: each reader takes one whole answer and gives the value or throws
// ApiError. Source: devcenter.heroku.com/articles/platform-api-reference. A configuration's body is spent: it
// holds every secret of the app, and only the one asked for leaves it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "integrations/consumer.h"
#include "integrations/heroku/heroku.h"
#include "integrations/http_failure.h"
#include "integrations/net/message.h"

namespace keyturn::heroku {

Account read_account(const net::Response& response);
integrations::AppInfo read_app(const net::Response& response);
integrations::ConfigValue read_config(net::Response& response, const std::string& variable);

// The request id, when the answer shows `variable` with `value`. Anything else in a 200 is ambiguous.
std::string read_changed(net::Response& response, const std::string& variable, const storage::Secret& value);

// Newest first, whatever order they came in.
std::vector<integrations::Release> read_releases(const net::Response& response);
// 201 and the release.
integrations::Release read_made_release(const net::Response& response);

// One page; the rest of the list has to be asked for with next_range.
std::vector<integrations::Dyno> read_dynos(const net::Response& response);
std::optional<std::string> next_range(const net::Response& response);

// The URL of the log session: a capability.
std::string read_log_session(const net::Response& response);

// The status of the log stream itself.
void check_log_stream(int status);

}  // namespace keyturn::heroku
