#include "deploy/sandbox/slack_capabilities.h"

#include <spdlog/fmt/fmt.h>

#include "deploy/sandbox/slack_people.h"
#include "storage/ids.h"

namespace keyturn::sandbox {
namespace {

constexpr storage::Duration kTriggerLife = std::chrono::seconds(3);
constexpr storage::Duration kResponseUrlLife = std::chrono::minutes(30);
constexpr int kResponseUrlUses = 5;

}  // namespace

std::string Triggers::mint(storage::TimePoint now) {
  std::string id =
      fmt::format("{}.{}.{}", now.time_since_epoch().count(), next_++, storage::new_uuid().substr(0, 8));
  triggers_.emplace(id, Trigger{.minted = now});
  return id;
}

std::string Triggers::spend(const std::string& id, storage::TimePoint now) {
  const auto found = triggers_.find(id);
  if (found == triggers_.end()) return "invalid_trigger_id";
  if (found->second.spent) return "exchanged_trigger_id";
  if (now - found->second.minted > kTriggerLife) return "expired_trigger_id";
  found->second.spent = true;
  return {};
}

std::string ResponseUrls::mint(const std::string& family, ResponsePlace place, storage::TimePoint now) {
  std::string path = fmt::format("/{}/{}/{}/{}", family, kTeam, urls_.size() + 1, storage::new_uuid());
  urls_.emplace(path, Url{.place = std::move(place), .minted = now});
  return path;
}

ResponseUrls::Use ResponseUrls::use(const std::string& path, storage::TimePoint now) {
  const auto found = urls_.find(path);
  if (found == urls_.end() || now - found->second.minted > kResponseUrlLife) return {.error = "expired_url"};
  if (found->second.uses >= kResponseUrlUses) return {.error = "used_url"};
  ++found->second.uses;
  return {.place = found->second.place};
}

}  // namespace keyturn::sandbox
