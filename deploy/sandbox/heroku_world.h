// Heroku's Platform API v3 and its log sessions: a config var makes a release, a release restarts the dynos
// one after the other, and each runs the configuration of the release it started on. Source:
// devcenter.heroku.com/articles/platform-api-reference, /releases, /logging; heroku/platform-api's schema.
// Time moves when advance() is called (every answer does; World's run() too), so that tests need no sleep.
// Knobs: {"kind":"release_fails"}           the next release fails: no dyno moves
//        {"kind":"release_expires"}         the next release expires: no dyno moves
//        {"kind":"release_pending","seconds":N}
//        {"kind":"dyno_crashes","on":true}  dynos that start from now on crash
//        {"kind":"dyno_stuck","on":true}    dynos that start from now on stay "starting"
//        {"kind":"restart_together","on":true}   as a real app without preboot: all at once, an outage
//        {"kind":"foreign_release","app":A,"on":true}    somebody else's release follows the next config
//        change
//        {"kind":"log_refuse","status":404} log session URLs answer that (0: no more)
//        {"kind":"log_expire"}              those that exist are gone
//        {"kind":"log_cut"}                 tears the open streams
//        {"kind":"log_loss"}                an L11 line in the open streams
//        {"kind":"log_line","app":A,"source":"app[web.1]","text":"..."}
//        {"kind":"forbidden","app":A,"on":true}   403: no collaborator
//        {"kind":"fir","app":A,"on":true}   the newer generation
//        {"kind":"quota","remaining":0}     429 until the account has tokens again
//        {"kind":"maintenance","app":A,"on":true}
//        {"kind":"scale_to_zero","app":A,"on":true}   no dyno runs; "on":false brings them back
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "deploy/sandbox/timing.h"
#include "deploy/sandbox/vendor.h"

namespace keyturn::sandbox {

using ConfigVars = std::map<std::string, std::string>;

enum class ReleaseState { pending, succeeded, failed, expired };

struct HerokuRelease {
  std::string id;
  int version = 1;
  ReleaseState state = ReleaseState::succeeded;
  std::string description;
  std::string user;
  ConfigVars config;  // as it was from this release on
  storage::TimePoint created{};
  storage::TimePoint updated{};
  bool doomed = false;   // will fail when it is settled
  bool expires = false;  // ... and be called expired
};

enum class DynoState { starting, up, crashed };

struct HerokuDyno {
  std::string id;
  std::string name;  // "web.1"
  std::string type;  // "web"
  std::string command;
  DynoState state = DynoState::up;
  int release = 1;
  storage::TimePoint since{};                     // in this state
  std::optional<storage::TimePoint> restart_due;  // waits for its turn since then
  ConfigVars config;                              // what its process was started with
};

struct LogEntry {
  std::uint64_t number = 0;
  std::string source;  // "app[web.1]"
  std::string line;    // "2026-11-23T09:43:35.300000+00:00 app[web.1]: text"
};

struct HerokuApp {
  std::string id;
  std::string name;
  std::string slug;  // id of its code
  bool fir = false;
  bool forbidden = false;
  bool maintenance = false;
  bool foreign_release = false;
  ConfigVars config;
  std::vector<HerokuRelease> releases;  // oldest first
  std::vector<HerokuDyno> dynos;
  std::vector<HerokuDyno> scaled_away;
  std::deque<LogEntry> log;  // the newest 1500
  std::uint64_t logged = 0;
};

class HerokuWorld final : public Vendor {
 public:
  HerokuWorld(const storage::Clock& clock, SandboxTiming timing);

  const std::string& token() const { return token_; }  // of the service user
  const std::string& email() const { return email_; }

  HerokuApp& add_app(std::string name, ConfigVars config, const std::vector<std::string>& dynos);
  const HerokuApp* find(const std::string& name_or_id) const;

  // Sets (or, with nothing, removes) one variable, as `user`: makes a release and restarts. False: no such
  // app.
  bool set_config(const std::string& app, const std::string& name, std::optional<std::string> value,
                  const std::string& user);
  // As set_config, several in one release (an Infisical sync does that).
  bool set_configs(const std::string& app, const std::map<std::string, std::optional<std::string>>& changes,
                   const std::string& user);
  // `heroku rollback`: the code and every variable of that release, in a new one. False: no such release.
  bool roll_back(const std::string& app, int version, const std::string& user);
  void restart(const std::string& app);

  // Where log sessions' URLs point; by default where the request for the session went, over plain HTTP.
  void serve_logs_at(std::string base) { log_base_ = std::move(base); }

  // Moves releases and dynos on to the present.
  void advance();

  // The process of an up dyno of that type ("web"), each in turn; nothing while none is up.
  const HerokuDyno* running(const std::string& app, const std::string& type);

  // One line in the app's log, now.
  void log(const std::string& app, const std::string& source, const std::string& text);

  nlohmann::json state() const override;
  net::Response answer(const net::ServerRequest& request) override;

 protected:
  bool turn_knob(const nlohmann::json& knob) override;
  void reset_knobs() override;
  net::Response fault_answer(int status) override;
  boost::asio::awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request,
                                     net::Exchange& exchange) override;

 private:
  struct LogSession {
    std::string id;
    std::string app;
    int lines = 100;
    bool tail = false;
    std::string source;  // filters; empty: all
    std::string dyno;
    storage::TimePoint created{};
    std::optional<storage::TimePoint> used;
    bool expired = false;
  };
  struct Knobs {
    bool release_fails = false;
    bool release_expires = false;
    bool dyno_crashes = false;
    bool dyno_stuck = false;
    bool restart_together = false;
    int log_refuse = 0;
    std::uint64_t log_cuts = 0;  // counts: an open stream ends when it changes
    std::optional<int> quota;
    std::optional<storage::Duration> release_pending;
  };

  HerokuApp* lookup(const std::string& name_or_id);
  void scale(HerokuApp& app, bool to_zero);
  HerokuRelease& back_to(HerokuApp& app, const HerokuRelease& past, const std::string& user);
  HerokuRelease& release(HerokuApp& app, std::string description, const std::string& user);
  void settle(HerokuApp& app, HerokuRelease& pending, storage::TimePoint at);
  void move_dynos(HerokuApp& app);
  // True once it runs `target` (or crashed on it). `from`: when the dyno before it was done.
  bool move_dyno(HerokuApp& app, HerokuDyno& dyno, const HerokuRelease& target, storage::TimePoint from);
  void change(HerokuApp& app, HerokuDyno& dyno, DynoState state, storage::TimePoint at);
  void log_at(HerokuApp& app, storage::TimePoint at, const std::string& source, const std::string& text);
  std::optional<net::Response> refuse_caller(const net::ServerRequest& request);
  net::Response route(const net::ServerRequest& request);
  net::Response account(const std::string& path) const;
  net::Response app_answer(const net::ServerRequest& request, HerokuApp& app,
                           const std::vector<std::string>& rest);
  net::Response config_vars(const net::ServerRequest& request, HerokuApp& app);
  net::Response change_config(const net::ServerRequest& request, HerokuApp& app);
  net::Response releases(const net::ServerRequest& request, HerokuApp& app,
                         const std::vector<std::string>& rest);
  net::Response list_releases(const net::ServerRequest& request, const HerokuApp& app) const;
  net::Response create_release(const net::ServerRequest& request, HerokuApp& app);
  net::Response dynos(const net::ServerRequest& request, HerokuApp& app);
  net::Response open_log(const net::ServerRequest& request, HerokuApp& app);
  void finish(const net::ServerRequest& request, net::Response& response) const;
  LogSession* usable_session(const std::string& id);
  boost::asio::awaitable<void> stream_log(std::shared_ptr<const net::ServerRequest> request,
                                          net::Exchange& exchange);
  // The lines after number `after` (which moves on), framed as asked for.
  std::string log_batch(const HerokuApp& app, const LogSession& session, std::uint64_t& after,
                        bool events) const;
  std::uint64_t first_shown(const HerokuApp& app, const LogSession& session) const;

  SandboxTiming timing_;
  std::string token_;
  std::string email_;
  std::string log_base_;
  std::deque<HerokuApp> apps_;
  std::deque<LogSession> sessions_;
  std::map<std::string, std::size_t> turns_;  // whose turn it is to serve, per app and type
  int remaining_ = 4500;
  Knobs knobs_;
};

}  // namespace keyturn::sandbox
