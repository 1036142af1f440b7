#include "commands/rotation/rollout.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "commands/rotation/performer.h"
#include "integrations/net/within.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;
using integrations::ReleaseStatus;
using integrations::System;

namespace {

constexpr int kLooksForNone = 6;  // in a row, until an app that had dynos is believed to have none

// What one look at the dynos says: every dyno up, on that release or a newer one.
struct DynoCount {
  int all = 0, ready = 0;
  std::string crashed;  // one that crashed on the new release
};

DynoCount count(const std::vector<integrations::Dyno>& dynos, int release) {
  DynoCount counted;
  for (const auto& dyno : dynos) {
    if (dyno.type == "release" || dyno.type == "run") continue;
    ++counted.all;
    if (dyno.state == "up" && dyno.release >= release) ++counted.ready;
    if (dyno.state == "crashed" && dyno.release >= release) counted.crashed = dyno.name;
  }
  return counted;
}

// The release that decides: the newest one since the change that didn't fail. Somebody may have made another
// meanwhile; its configuration is then looked at, too.
const integrations::Release* deciding(const std::vector<integrations::Release>& releases, int wanted) {
  const auto found = std::ranges::find_if(releases, [&](const integrations::Release& release) {
    return release.version >= wanted && release.status != ReleaseStatus::failed &&
           release.status != ReleaseStatus::expired;
  });
  return found == releases.end() ? nullptr : &*found;
}

}  // namespace

bool has_failed(const std::vector<integrations::Release>& releases, int release) {
  const auto found = std::ranges::find(releases, release, &integrations::Release::version);
  return found != releases.end() &&
         (found->status == ReleaseStatus::failed || found->status == ReleaseStatus::expired);
}

std::string released_code(const std::string& app, const std::vector<integrations::Release>& releases) {
  const auto good = std::ranges::find(releases, ReleaseStatus::succeeded, &integrations::Release::status);
  if (good != releases.end() && !good->slug.empty()) return good->slug;
  fail(System::heroku,
       fmt::format(
           "the release v{} of {} failed, and Heroku names no code that could be released again; deploy "
           "the app once more, then try again",
           releases.front().version, app),
       /*can_retry=*/false, releases.front().request_id);
}

asio::awaitable<RolledOut> await_rollout(integrations::Consumer& consumer, const storage::Clock& clock,
                                         Rollout rollout) {
  const std::string& app = rollout.app;
  int looks_without_dynos = 0;
  for (;;) {
    const auto releases = co_await consumer.releases(app, kReleasesLookedAt);
    const auto* release = deciding(releases, rollout.release);
    if (!release && has_failed(releases, rollout.release)) {
      fail(System::heroku,
           fmt::format("the release v{} of {} failed; its dynos still run {}", rollout.release, app,
                       rollout.runs_otherwise),
           /*can_retry=*/false, rollout.request_id);
    }
    const bool released = release && release->status == ReleaseStatus::succeeded;
    const auto dynos = co_await consumer.dynos(app);
    const DynoCount counted = count(dynos, release ? release->version : rollout.release);
    if (released && !counted.crashed.empty()) {
      fail(System::heroku,
           fmt::format("{} of {} crashed on release v{}", counted.crashed, app, release->version),
           /*can_retry=*/false);
    }
    // Between the old dynos and the new ones the list can be empty for a moment.
    looks_without_dynos = counted.all == 0 ? looks_without_dynos + 1 : 0;
    const bool really_none = rollout.dynos_before == 0 || looks_without_dynos >= kLooksForNone;
    if (released && counted.ready == counted.all && (counted.all > 0 || really_none)) {
      co_return RolledOut{
          .release = release->version, .dynos = counted.all, .request_id = release->request_id};
    }
    if (clock.now() > rollout.began + rollout.allowed) {
      fail(System::heroku,
           fmt::format("only {} of {} dynos of {} run release v{} after {}", counted.ready, counted.all, app,
                       release ? release->version : rollout.release, storage::in_words(rollout.allowed)),
           /*can_retry=*/false);
    }
    co_await net::sleep_for(rollout.poll_every);
  }
}

}  // namespace keyturn::commands::rotation
