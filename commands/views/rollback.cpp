#include "commands/views/rollback.h"

#include <spdlog/fmt/fmt.h>

#include "commands/views/blocks.h"

namespace keyturn::commands::views {

std::string rollback_guide(const rotation::State& s, storage::TimePoint now) {
  if (s.compromise) {
    return "Rolling back is barred: the old key may be in other hands. If the new key is broken, create a "
           "fresh restricted "
           "key with the same permissions in the dashboard and put that into Infisical and every app.";
  }
  if (!s.stored && s.updated.empty())
    return "There is nothing to roll back: the new key has been put nowhere.";
  if (s.old_key_died_early() || s.proven_dead_at || now >= *s.old_key_deadline()) {
    return "The old key is dead, so there is no way back to it. If the new key is broken, create a fresh "
           "restricted key with "
           "the same permissions in the dashboard and put that into Infisical and every app.";
  }
  std::string guide = fmt::format(
      "The old key `{}` works until {}. By hand:\n1.  Infisical: restore version {} of `{}` (secret → "
      "version history).\n",
      s.current->event.fingerprint, date(*s.old_key_deadline()), s.current->event.version,
      escape(s.target.store.name));
  int step = 2;
  for (const auto& consumer : s.target.consumers) {
    guide += fmt::format(
        "{}.  Heroku: set `{}` of {} to that value, in the dashboard's settings (a command line would keep "
        "it).\n",
        step++, escape(consumer.variable), escape(consumer.app));
  }
  return guide + fmt::format("{}.  Dashboard: *Expire key* on the new key, `{}`, once billing is healthy.",
                             step, s.received->event.fingerprint);
}

}  // namespace keyturn::commands::views
