// The app's home tab, for whoever opens it in Slack, and up to date while it may still be looked at. Slack
// doesn't say when a tab is closed, so one is followed for an hour. Thread: io only. Failure: Slack's are
// reported and waited out; a tab that can't be published is published at the next change or opening.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>

#include "commands/commands.h"
#include "integrations/net/within.h"
#include "integrations/slack/web_api.h"

namespace keyturn::commands {

class HomeTabs {
 public:
  using Trouble = std::function<void(const std::string& what, const std::string& why)>;
  // References must outlive this.
  HomeTabs(boost::asio::any_io_executor io, slack::WebApi& api, const Desk& desk, Trouble trouble);

  void opened(const std::string& user);
  void changed();  // a rotation did
  void stop() { tasks_.cancel(); }
  boost::asio::awaitable<bool> stopped(storage::Duration limit) { co_return co_await tasks_.wait(limit); }

 private:
  struct Tab {
    storage::TimePoint opened;
    bool publishing = false;
    bool stale = false;
  };
  void publish_soon(const std::string& user);
  boost::asio::awaitable<void> keep_published(std::string user);
  boost::asio::awaitable<void> publish(std::string user);

  slack::WebApi& api_;
  const Desk& desk_;
  Trouble trouble_;
  std::map<std::string, Tab> tabs_;
  net::TaskGroup tasks_;
};

}  // namespace keyturn::commands
