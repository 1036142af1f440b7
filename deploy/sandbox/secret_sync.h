// A secret sync of Infisical to a Heroku app, as its queue runs it: some seconds after the last write to the
// path, every secret of it in one change; five tries, during which it is "running"; then "succeeded" or
// "failed". Source: github.com/Infisical/infisical, backend/src/services/secret-sync/secret-sync-queue.ts and
// heroku/heroku-sync-fns.ts.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "deploy/sandbox/timing.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

class SecretSync {
 public:
  // A knob (see infisical_world.h). `changes`: how often the path has been written so far.
  SecretSync(const nlohmann::json& knob, int changes, storage::TimePoint now);

  const std::string& app() const { return app_; }
  const std::string& environment() const { return environment_; }
  const std::string& path() const { return path_; }

  void break_it(bool broken) { broken_ = broken; }
  void switch_on(bool automatic) { automatic_ = automatic; }
  // As the button "Trigger Sync" does.
  void trigger(storage::TimePoint now);

  // Looks at the path and at the clock. Whether a try is due: the caller makes it, and says how it ended.
  bool due(int changes, storage::TimePoint now, const SandboxTiming& timing);
  bool broken() const { return broken_; }
  void tried(bool worked, storage::TimePoint now, const SandboxTiming& timing);

  // What it sets and (with nothing) removes, for an app that is configured like that.
  std::map<std::string, std::optional<std::string>> change(
      const std::map<std::string, std::string>& secrets,
      const std::map<std::string, std::string>& config) const;

  // A row of GET /api/v1/secret-syncs.
  nlohmann::json row(const std::string& project) const;
  // For pages and tests.
  nlohmann::json state() const;

 private:
  std::string named(const std::string& secret) const;
  bool manages(const std::string& variable) const;  // by its name: without a schema, every variable

  std::string id_, app_, app_id_, environment_, path_, key_schema_;
  bool automatic_, deletes_, recursive_;
  bool broken_ = false;
  storage::TimePoint made_;

  std::optional<std::string> status_;
  std::string last_run_;
  std::string message_;  // of a failure
  std::optional<storage::TimePoint> synced_at_;

  int seen_;                                      // changes that were noticed
  std::optional<storage::TimePoint> quiet_from_;  // a write that no run has followed yet
  std::optional<storage::TimePoint> next_try_;
  std::string run_;  // the one under way
  int tries_ = 0;
};

}  // namespace keyturn::sandbox
