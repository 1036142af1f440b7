#include "commands/home_tabs.h"

#include "commands/views/home.h"

namespace keyturn::commands {

namespace asio = boost::asio;
using storage::Duration;

namespace {
constexpr Duration kFollowed = std::chrono::hours(1);
constexpr Duration kBetween = std::chrono::seconds(2);  // of one tab; Slack's pace, and no eye is quicker
constexpr std::size_t kMostTabs = 100;
}  // namespace

HomeTabs::HomeTabs(asio::any_io_executor io, slack::WebApi& api, const Desk& desk, Trouble trouble)
    : api_(api), desk_(desk), trouble_(std::move(trouble)), tasks_(std::move(io), nullptr) {}

void HomeTabs::opened(const std::string& user) {
  std::erase_if(tabs_, [now = desk_.clock.now()](const auto& tab) {
    return !tab.second.publishing && tab.second.opened + kFollowed < now;
  });
  if (tabs_.size() >= kMostTabs && !tabs_.contains(user)) return;
  tabs_[user].opened = desk_.clock.now();
  publish_soon(user);
}

void HomeTabs::changed() {
  for (const auto& [user, tab] : tabs_) {
    if (tab.opened + kFollowed >= desk_.clock.now()) publish_soon(user);
  }
}

void HomeTabs::publish_soon(const std::string& user) {
  Tab& tab = tabs_[user];
  tab.stale = true;
  if (!std::exchange(tab.publishing, true)) tasks_.spawn("home tab of " + user, keep_published(user));
}

// Until nothing has changed since the last time. A tab isn't forgotten while it is being published.
asio::awaitable<void> HomeTabs::keep_published(std::string user) {
  while (std::exchange(tabs_[user].stale, false)) {
    std::string why;
    try {
      co_await publish(user);
    } catch (const std::exception& error) {
      why = error.what();
    }
    co_await net::sleep_for(kBetween);  // a cancelled one ends here
    if (!why.empty() && trouble_) trouble_("home tab", why);
  }
  tabs_[user].publishing = false;
}

asio::awaitable<void> HomeTabs::publish(std::string user) {
  const Standing standing = co_await desk_.authority.standing(user);
  const auto view = views::home({.targets = desk_.targets,
                                 .rotations = desk_.runner.all(),
                                 .user = user,
                                 .standing = standing,
                                 .now = desk_.clock.now(),
                                 .seen = desk_.seen,
                                 .drifts = desk_.drifts});
  co_await api_.call("views.publish", {{"user_id", user}, {"view", view}});
}

}  // namespace keyturn::commands
