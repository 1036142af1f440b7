#include "commands/views/form_progress.h"

#include <algorithm>

#include "commands/rotation/decide.h"
#include "commands/views/messages.h"
#include "commands/views/plain.h"
#include "commands/views/progress.h"

namespace keyturn::commands::views {

using namespace rotation;

namespace {

constexpr Duration kSoon = std::chrono::seconds(2);
constexpr Duration kInTheGrace = std::chrono::seconds(20);  // hours go by there, and a page may stay open

Duration until_next(const State& s, Stage stage) {
  if (stage != Stage::grace) return kSoon;
  return std::clamp<Duration>(s.received->event.grace_chosen / 20, kSoon, kInTheGrace);
}

std::string_view name_of(Mark mark) {
  switch (mark) {
    case Mark::done:
      return "done";
    case Mark::doing:
      return "doing";
    case Mark::waiting:
      return "waiting";
    case Mark::problem:
      return "problem";
    case Mark::pending:
      return "pending";
  }
  return "pending";
}

std::string what_went_wrong(const State& s) {
  if (s.halted) return s.halted->event.sentence;
  if (s.rejected && !s.received) {
    return s.rejected->event.sentence +
           (s.live() ? " A new link is in your direct message; the sealed copy of this key is destroyed."
                     : "");
  }
  return {};
}

}  // namespace

FormProgress form_progress(const State& s, TimePoint now) {
  const auto in_plain_words = [&](std::string_view mrkdwn) {
    return plain(mrkdwn, s.operator_id, s.operator_name());
  };
  const Stage stage = stage_of(s, now);
  FormProgress shown{.stage = std::string(rotation::name_of(stage)),
                     .headline = in_plain_words(headline(s, now)),
                     .billing = in_plain_words(billing_now(s)),
                     .lines = {},
                     .sentence = what_went_wrong(s),
                     .needs_person = s.halted.has_value() || (s.live() && !s.received),
                     .done = s.closed.has_value(),
                     .outcome = s.closed ? s.closed->event.outcome : std::string(),
                     .old_key_expires_at = s.recovery() ? std::nullopt : s.old_key_deadline(),
                     .next = until_next(s, stage)};
  for (const Line& line : progress(s, now)) {
    shown.lines.push_back({.mark = std::string(name_of(line.mark)), .text = in_plain_words(line.text)});
  }
  return shown;
}

}  // namespace keyturn::commands::views
