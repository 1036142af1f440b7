#include "commands/authority.h"

#include <spdlog/fmt/fmt.h>

#include "integrations/error.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using nlohmann::json;

namespace {
constexpr storage::Duration kFresh = std::chrono::seconds(60);
constexpr storage::Duration kReadLimit = std::chrono::milliseconds(1500);
}  // namespace

std::optional<NotAllowed> not_allowed(Standing standing, std::string_view what) {
  switch (standing) {
    case Standing::superadmin:
      return std::nullopt;
    case Standing::other:
      return NotAllowed{"not_superadmin",
                        fmt::format("Only a superadmin can {}. Nothing has changed. `/rotate help` says what "
                                    "everybody may.",
                                    what)};
    case Standing::unknown:
      break;
  }
  return NotAllowed{"standing_unknown",
                    "Slack did not say who the superadmins are, so nobody is one right now. Nothing has "
                    "changed: try again in a minute."};
}

Authority::Authority(slack::WebApi& api, const storage::Clock& clock, std::vector<std::string> superadmins,
                     std::string group)
    : api_(api),
      clock_(clock),
      superadmins_(superadmins.begin(), superadmins.end()),
      group_(std::move(group)) {}

asio::awaitable<Standing> Authority::standing(std::string user) {
  if (superadmins_.contains(user)) co_return Standing::superadmin;
  if (group_.empty()) co_return Standing::other;
  if (!co_await refresh()) co_return Standing::unknown;
  co_return members_.contains(user) ? Standing::superadmin : Standing::other;
}

asio::awaitable<std::vector<std::string>> Authority::superadmins() {
  std::set<std::string> people = superadmins_;
  if (!group_.empty() && co_await refresh()) people.insert(members_.begin(), members_.end());
  co_return std::vector<std::string>(people.begin(), people.end());
}

asio::awaitable<std::optional<std::vector<std::string>>> Authority::every_superadmin() {
  if (!group_.empty() && !co_await refresh()) co_return std::nullopt;
  co_return co_await superadmins();
}

asio::awaitable<bool> Authority::refresh() {
  // A clock that was set back must not keep an old list for as long as it takes to come forward again.
  const bool fresh = read_at_ && clock_.now() >= *read_at_ && clock_.now() - *read_at_ < kFresh;
  if (fresh) co_return true;
  json answer;
  try {
    answer = co_await api_.call("usergroups.users.list", json{{"usergroup", group_}}, kReadLimit);
  } catch (const integrations::ApiError&) {
    co_return false;
  }
  const auto users = answer.find("users");
  if (users == answer.end() || !users->is_array()) co_return false;
  members_.clear();
  for (const json& user : *users) {
    if (user.is_string()) members_.insert(user.get<std::string>());
  }
  read_at_ = clock_.now();
  co_return true;
}

}  // namespace keyturn::commands
