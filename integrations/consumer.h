// The family of systems that run applications which use a key (first: Heroku).
// Failure: ApiError. The configuration of an app holds all of its secrets: only the one variable asked for
// leaves here.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::integrations {

enum class ReleaseStatus { succeeded, pending, failed, expired, unknown };

struct Release {
  std::string id;
  int version = 0;
  ReleaseStatus status = ReleaseStatus::unknown;
  bool current = false;
  std::string user;  // e-mail of whoever made it
  std::string description;
  std::string slug;  // id of the code that it runs; empty: an image, or unknown
  std::string request_id;
  std::optional<storage::Duration>
      took;  // from the change to its end, where it succeeded and Heroku says when
};

struct Dyno {
  std::string name;   // "web.1"
  std::string type;   // "web"; "release" and "run" are no part of the running app
  std::string state;  // crashed, down, idle, starting, up; anything else counts as not yet up
  int release = 0;    // version
};

// With fewer a rotation of a few apps could stop for want of them. Of Heroku's 4,500 about 75 come back each
// minute (devcenter.heroku.com/articles/platform-api-reference#rate-limits).
inline constexpr int kFewCallsLeft = 100;

struct AppInfo {
  std::string name;
  bool maintenance = false;
  std::string generation;  // "cedar" or "fir"
  std::string request_id;
  std::optional<int> quota_remaining;
};

struct ConfigValue {
  storage::SharedSecret value;  // null: the variable is not set
  std::string request_id;
};

// One line of the app's log, with any key in it replaced by [redacted].
struct LogLine {
  std::string time;    // as sent: "2026-11-23T09:43:35.300000+00:00"
  std::string source;  // "app[web.1]"
  std::string text;
};
struct LogQuiet {};  // nothing within the limit; still connected
struct LogEnded {};  // the stream ended: open a new one, and count what may have been missed

class LogStream {
 public:
  virtual ~LogStream() = default;
  virtual boost::asio::awaitable<std::variant<LogLine, LogQuiet, LogEnded>> next(storage::Duration limit) = 0;
};

class Consumer {
 public:
  virtual ~Consumer() = default;
  virtual boost::asio::awaitable<AppInfo> info(std::string app) = 0;
  virtual boost::asio::awaitable<ConfigValue> config(std::string app, std::string variable) = 0;
  // Sets one variable; the app makes a release and restarts. Answers the vendor's request id.
  virtual boost::asio::awaitable<std::string> set_config(std::string app, std::string variable,
                                                         storage::SharedSecret value) = 0;
  // Newest first, at most `count`.
  virtual boost::asio::awaitable<std::vector<Release>> releases(std::string app, int count) = 0;
  // Makes a release of that code with the configuration as it is now: for a change whose release failed. (A
  // value that is set a second time may make none.)
  virtual boost::asio::awaitable<Release> release_again(std::string app, std::string slug) = 0;
  virtual boost::asio::awaitable<std::vector<Dyno>> dynos(std::string app) = 0;
  // Follows the app's log from `lines` lines back.
  virtual boost::asio::awaitable<std::unique_ptr<LogStream>> follow_log(std::string app, int lines) = 0;
};

}  // namespace keyturn::integrations
