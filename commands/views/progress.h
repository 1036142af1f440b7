// The lines of the live status message: one for each step, each a fact with its time, or what is being done.
#pragma once

#include <string>
#include <vector>

#include "commands/rotation/state.h"

namespace keyturn::commands::views {

enum class Mark { done, doing, waiting, problem, pending };

struct Line {
  Mark mark = Mark::pending;
  std::string text;  // mrkdwn
};

std::vector<Line> progress(const rotation::State& state, storage::TimePoint now);

// "[done] Current key read ..." with a sign and a word, so that no line depends on an emoji alone.
std::string render(const std::vector<Line>& lines);

// "grace over at ..., 40 %": the line about the old key's remaining time.
std::string endpoint_summary(const rotation::KeyProbed& probed);

}  // namespace keyturn::commands::views
