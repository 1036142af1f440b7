// Bodies and headers that Slack (or a proxy in front of it) could answer a Web API call with. The first byte
// chooses the status, the first line is a header's value. Only 200 with ok:true is a success, whatever the
// body says, and what was lost may not be taken for a success either.
#include <array>
#include <cstdlib>

#include "commands/slack_desk.h"
#include "integrations/slack/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn;
  constexpr std::array statuses = {200, 302, 400, 401, 403, 404, 410, 429, 500, 503};
  if (size == 0) return 0;
  const int status = statuses.at(data[0] % statuses.size());
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto line = text.find('\n');
  const std::string value = text.substr(0, line);
  const std::string body = line == std::string::npos ? "" : text.substr(line + 1);
  const net::Response response(
      status, {{"Retry-After", value}, {"X-OAuth-Scopes", value}, {"Content-Type", "application/json"}},
      body);

  for (const char* method : {"chat.postMessage", "users.info"}) {
    const auto verdict = slack::judge(method, response);
    const auto* answer = std::get_if<nlohmann::json>(&verdict);
    if (answer != nullptr && (status != 200 || !answer->at("ok").get<bool>())) std::abort();
    if (const auto* wait = std::get_if<slack::Wait>(&verdict);
        wait != nullptr && wait->duration < storage::Duration(0))
      std::abort();
    if (answer != nullptr) {
      const auto account = commands::read_account(answer->value("user", nlohmann::json::object()), "T1");
      if (account.allowed == !account.reason.empty()) std::abort();  // a refusal says why
    }
  }
  if (!slack::judge_reply(response) && status != 200) std::abort();
  if (const auto scopes = slack::granted_scopes(response.headers)) {
    for (const auto& scope : *scopes) {
      if (scope.find_first_of("`*<>& ") != std::string::npos) std::abort();  // they go into messages
    }
  }
  return 0;
}
