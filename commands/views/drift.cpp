#include "commands/views/drift.h"

#include <spdlog/fmt/fmt.h>

#include "commands/views/blocks.h"

namespace keyturn::commands::views {
namespace {

std::string which_key(const Drift& drift, const HeldKey& held, storage::TimePoint now) {
  if (drift.held.empty()) return "no key at all";
  const std::string key = fmt::format("`{}`", drift.held);
  if (held.dead) return key + ", a key from before a rotation, which is *proven dead*";
  if (held.dies && now < *held.dies)
    return fmt::format("{}, the key from before the rotation, which *dies {}*", key, date(*held.dies));
  if (held.dies) return key + ", a key from before a rotation, whose time is over";
  if (held.abandoned) return key + ", the key that was given up when its rotation was rolled back";
  return key + ", which Keyturn does not know";
}

std::string meaning(const Drift& drift, const HeldKey& held, storage::TimePoint now) {
  const std::string where = drift.app.empty() ? "every app that takes it up" : escape(drift.app);
  if (drift.held.empty() || held.dead) return fmt::format("Billing is likely down in {}.", where);
  if (held.dies && now < *held.dies)
    return fmt::format("Billing works until then, and stops in {} if nothing is done.", where);
  if (held.dies) return fmt::format("Billing may be down in {}.", where);
  return fmt::format("Whether billing works in {} depends on a key about which nothing is proven.", where);
}

std::string what_to_do(const Drift& drift) {
  if (drift.app.empty()) {
    return fmt::format(
        "put the newer value back in Infisical (its version history has it), or take the rotation back "
        "with `/rotate rollback {}`, which treats every app alike.",
        escape(drift.target));
  }
  if (!drift.offered) {
    return "settle which of the two is right, and give it to the other. No rotation of Keyturn's put that "
           "key into "
           "Infisical, so nothing is proven about it, and it is not offered to the app.";
  }
  return fmt::format(
      "press *Give it the stored key*. That makes a release of {} and restarts its dynos. If somebody set "
      "that key on purpose, put it into Infisical instead.",
      escape(drift.app));
}

std::string found_text(const Drift& drift, const HeldKey& held, storage::TimePoint now) {
  if (drift.app.empty()) {
    return fmt::format("*Infisical no longer holds the new key of {}* (`{}`) but {}.", escape(drift.target),
                       drift.stored, which_key(drift, held, now));
  }
  const std::string since =
      drift.release.empty() ? "" : fmt::format(" Its newest release is {}.", escape(drift.release));
  return fmt::format("*{} does not hold the key of {}*: Infisical holds `{}`, and the app holds {}.{}",
                     escape(drift.app), escape(drift.target), drift.stored, which_key(drift, held, now),
                     since);
}

std::string ending(const Drift& drift) {
  const DriftEnd& end = *drift.ended;
  if (end.how == kRepaired && drift.asked) {
    return fmt::format(
        "*Put right* at {}, asked by {}: {} holds the stored key again; release v{} runs on {} {}.",
        time_of_day(end.at), mention(drift.asked->by), escape(drift.app), end.release, end.dynos,
        end.dynos == 1 ? "dyno" : "dynos");
  }
  return fmt::format(
      "*No longer so*, seen at {}: what this message tells of was changed by somebody, or by a rotation.",
      time_of_day(end.at));
}

}  // namespace

std::string drift_in_words(const Drifts& drifts, const std::string& target) {
  std::string text;
  for (const auto& [id, drift] : drifts) {
    if (drift.ended || drift.target != target) continue;
    text += fmt::format("{}*{}* since {}", text.empty() ? "" : "; ",
                        drift.app.empty() ? "Infisical was set back to the old key"
                                          : escape(drift.app) + " does not hold the stored key",
                        date(drift.found_at));
  }
  return text;
}

Message drift_message(const Drift& drift, const HeldKey& held, const std::vector<std::string>& people,
                      storage::TimePoint now) {
  json blocks = json::array({section(found_text(drift, held, now))});
  if (drift.ended) {
    blocks.push_back(section(ending(drift)));
  } else {
    std::string named;
    if (drift.held.empty() || held.dead) {
      for (const std::string& person : people) named += mention(person) + " ";
    }
    blocks.push_back(
        section(fmt::format("{}{}\n*What to do*: {}", named, meaning(drift, held, now), what_to_do(drift))));
    if (!drift.failure.empty())
      blocks.push_back(section(fmt::format(
          "*{}*: {}. {}", drift.wrote ? "The repair was not seen to its end" : "The repair came to nothing",
          escape(drift.failure),
          drift.wrote ? "The app's configuration may hold the stored key by now; that every dyno runs it is "
                        "not known."
                      : "Nothing was written.")));
    if (drift.repairing) {
      blocks.push_back(section(
          fmt::format("{} asked for the repair at {}. It goes on: the key is checked at Stripe, given "
                      "to {}, and its dynos restart.",
                      mention(drift.asked->by), time_of_day(drift.asked->at), escape(drift.app))));
    } else if (drift.offered) {
      blocks.push_back(actions(
          "drift_repair",
          {{std::string(kRepair), drift.failure.empty() ? "Give it the stored key" : "Try again", drift.id,
            "primary", "The app gets the key that Infisical holds, makes a release, and restarts."}}));
    }
  }
  blocks.push_back(context(fmt::format("`{}` · found at {}", drift.id, date(drift.found_at))));
  const std::string where = drift.app.empty() ? "Infisical" : drift.app;
  return {.slot = drift.id,
          .place = Place::team_channel,
          .live = true,
          .text = fmt::format("{} does not hold the key of {}", where, drift.target),
          .blocks = std::move(blocks)};
}

}  // namespace keyturn::commands::views
