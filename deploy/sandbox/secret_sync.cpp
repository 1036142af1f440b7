#include "deploy/sandbox/secret_sync.h"

#include <algorithm>
#include <string_view>

#include "deploy/sandbox/random_text.h"

namespace keyturn::sandbox {
namespace {

using nlohmann::json;

constexpr int kTries = 5;
constexpr std::string_view kSecretKey = "{{secretKey}}";
constexpr std::string_view kEnvironment = "{{environment}}";

std::string with(std::string text, std::string_view placeholder, const std::string& value) {
  for (std::size_t at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + value.size()))
    text.replace(at, placeholder.size(), value);
  return text;
}

json time_or_null(const std::optional<storage::TimePoint>& time) {
  return time ? json(storage::to_iso8601(*time)) : json();
}

json text_or_null(const std::string& text) { return text.empty() ? json() : json(text); }

}  // namespace

SecretSync::SecretSync(const json& knob, int changes, storage::TimePoint now)
    : id_(random_uuid()),
      app_(knob.at("app")),
      app_id_(random_uuid()),
      environment_(knob.value("environment", "")),
      path_(knob.value("path", "/")),
      key_schema_(knob.value("key_schema", "")),
      automatic_(knob.value("automatic", true)),
      deletes_(knob.value("deletes", false)),
      recursive_(knob.value("recursive", false)),
      made_(now),
      seen_(changes) {
  // It has been there for long, unless it is told otherwise.
  const std::string status = knob.value("status", "succeeded");
  if (status == "never") return;
  status_ = status;
  last_run_ = random_uuid();
  synced_at_ = now;
  if (status == "failed") message_ = "Invalid credentials provided.";
}

void SecretSync::trigger(storage::TimePoint now) {
  status_ = "pending";
  quiet_from_.reset();
  run_ = random_uuid();
  tries_ = 0;
  next_try_ = now;
}

bool SecretSync::due(int changes, storage::TimePoint now, const SandboxTiming& timing) {
  if (changes != seen_) {
    seen_ = changes;
    if (automatic_) quiet_from_ = now;
  }
  if (quiet_from_ && now - *quiet_from_ >= timing.sync_debounce) {
    trigger(now);
    next_try_ = now + timing.sync_queue;
  }
  if (!next_try_ || now < *next_try_) return false;
  status_ = "running";
  return true;
}

void SecretSync::tried(bool worked, storage::TimePoint now, const SandboxTiming& timing) {
  next_try_.reset();
  if (!worked && ++tries_ < kTries) {
    next_try_ = now + timing.sync_retry * (1 << (tries_ - 1));
    return;
  }
  status_ = worked ? "succeeded" : "failed";
  last_run_ = run_;
  message_ = worked ? "" : R"({"secretKey":"batch_update","error":"Invalid credentials provided."})";
  if (worked) synced_at_ = now;
}

std::string SecretSync::named(const std::string& secret) const {
  if (key_schema_.empty()) return secret;
  return with(with(key_schema_, kEnvironment, environment_), kSecretKey, secret);
}

bool SecretSync::manages(const std::string& variable) const {
  const std::string pattern = with(key_schema_, kEnvironment, environment_);
  const std::size_t at = pattern.find(kSecretKey);
  if (at == std::string::npos) return true;
  const std::string_view before(pattern.data(), at);
  const std::string_view after = std::string_view(pattern).substr(at + kSecretKey.size());
  return variable.size() >= before.size() + after.size() && variable.starts_with(before) &&
         variable.ends_with(after);
}

std::map<std::string, std::optional<std::string>> SecretSync::change(
    const std::map<std::string, std::string>& secrets,
    const std::map<std::string, std::string>& config) const {
  std::map<std::string, std::optional<std::string>> changes;
  for (const auto& [name, value] : secrets) changes[named(name)] = value;
  if (!deletes_) return changes;
  for (const auto& [variable, value] : config)
    if (manages(variable)) changes.try_emplace(variable, std::nullopt);
  return changes;
}

json SecretSync::row(const std::string& project) const {
  json options{{"initialSyncBehavior", "overwrite-destination"},
               {"disableSecretDeletion", !deletes_},
               {"recursive", recursive_}};
  if (!key_schema_.empty()) options["keySchema"] = key_schema_;
  return {{"id", id_},
          {"name", app_ + "-sync"},
          {"description", nullptr},
          {"isAutoSyncEnabled", automatic_},
          {"version", 1},
          {"projectId", project},
          {"folderId", id_},
          {"connectionId", id_},
          {"createdAt", storage::to_iso8601(made_)},
          {"updatedAt", storage::to_iso8601(made_)},
          {"syncStatus", status_ ? json(*status_) : json()},
          {"lastSyncJobId", text_or_null(last_run_)},
          {"lastSyncMessage", text_or_null(message_)},
          {"lastSyncedAt", time_or_null(synced_at_)},
          {"importStatus", nullptr},
          {"lastImportJobId", nullptr},
          {"lastImportMessage", nullptr},
          {"lastImportedAt", nullptr},
          {"removeStatus", nullptr},
          {"lastRemoveJobId", nullptr},
          {"lastRemoveMessage", nullptr},
          {"lastRemovedAt", nullptr},
          {"syncOptions", std::move(options)},
          {"connection", {{"app", "heroku"}, {"id", id_}, {"name", "heroku"}}},
          {"environment", {{"id", id_}, {"name", environment_}, {"slug", environment_}}},
          {"folder", {{"id", id_}, {"path", path_}}},
          {"destination", "heroku"},
          {"destinationConfig", {{"app", app_id_}, {"appName", app_}}}};
}

json SecretSync::state() const {
  return {{"id", id_},
          {"app", app_},
          {"environment", environment_},
          {"status", status_ ? json(*status_) : json()},
          {"last_run", last_run_}};
}

}  // namespace keyturn::sandbox
