// Rows that a broken or forged journal could hold: one a line, "TYPE JSON". Each is read as an event or
// refused with an exception that main reports; what is read goes back to the journal unchanged, folds and
// decides. (No messages are made of it: a story with rows left out is kept away from people by the chain.)
#include <string_view>

#include "commands/rotation/decide.h"
#include "storage/clock.h"

namespace {
using namespace keyturn;
using namespace keyturn::commands::rotation;

const TimePoint kStart{std::chrono::hours(500'000)};

void read_row(State& state, std::string_view row, TimePoint at) {
  const auto space = row.find(' ');
  if (space == std::string_view::npos) return;
  const auto data = nlohmann::json::parse(row.substr(space + 1), nullptr, /*allow_exceptions=*/false);
  if (data.is_discarded()) return;
  try {
    const Event event = read_event(row.substr(0, space), data);
    const std::string written = data_of(event).dump();
    const Event again = read_event(type_of(event), nlohmann::json::parse(written));
    if (data_of(again).dump() != written) std::abort();
    apply(state, event, at);
  } catch (const std::exception&) {
    // Refused: a bot doesn't start on such a journal.
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  State state;
  state.id = "rot_1";
  TimePoint now = kStart;
  while (!text.empty()) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    read_row(state, row, now);
    now += std::chrono::seconds(10);
  }
  // A story without its beginning is none.
  if (state.target.consumers.empty() || state.target.permitted.empty()) return 0;
  (void)decide(state, now);
  (void)stage_of(state, now);
  return 0;
}
