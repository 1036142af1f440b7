// An offboarding: every target that a person touched, as the journal has it, and how far each has come. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "commands/due.h"
#include "commands/target.h"
#include "commands/touched.h"

namespace keyturn::commands {

struct Campaign {
  std::string id;                    // "off_20261123T191605_k3v9q2xd"
  std::string person;                // who leaves
  std::string by;                    // who asked for it
  std::string channel;               // where its board is
  std::vector<std::string> targets;  // names, the most urgent first
  bool compromise = false;           // its rotations are those of a suspected leak
  storage::TimePoint started_at;
  std::string ts;         // of the board; empty: not known to be in Slack
  std::string link = {};  // that opens it; empty: Slack didn't say
  std::optional<storage::TimePoint> finished_at;
  std::string ended_by;  // somebody ended it before it was finished
  bool settled = false;  // the board says how it ended

  bool open() const { return !finished_at && ended_by.empty(); }
  bool holds(const std::string& target) const;
};
using Campaigns = std::map<std::string, Campaign>;  // by id, which sorts by time

// The fold of our own entries of the journal.
inline constexpr std::string_view kOffboardStarted = "offboard.started";
inline constexpr std::string_view kBoardPosted = "offboard.board.posted";
inline constexpr std::string_view kOffboardFinished = "offboard.finished";
inline constexpr std::string_view kOffboardEnded = "offboard.ended";
inline constexpr std::string_view kBoardSettled = "offboard.board.settled";
void note(Campaigns& campaigns, std::string_view type, const nlohmann::json& data, storage::TimePoint at);
nlohmann::json started_data(const Campaign& campaign);

// The open one of that person, or null.
const Campaign* campaign_of(const Campaigns& campaigns, const std::string& person);

enum class RowState {
  to_do,       // the key in use is one they may know, and nobody has begun
  running,     // a rotation goes on
  waiting,     // rotated; the old key isn't proven dead yet
  failed,      // it stopped, or ended without a new key
  done,        // every key they may know is proven dead, the last of them since this began
  not_needed,  // ... all of them before
  unproven,    // a key they may know is not in use, and nothing can prove it dead: a person has to look
};

struct BoardRow {
  std::string target;
  RowState state{};
  std::string words;       // mrkdwn: what is known, and what to do
  bool startable = false;  // with a button
};

struct Facts {                 // what the rows are made from
  const Rotations& rotations;  // newest first
  const std::vector<Target>& targets;
  const KeysSeen& seen;
};

BoardRow row_of(const Campaign& campaign, const std::string& target, const Facts& facts);
std::vector<BoardRow> rows_of(const Campaign& campaign, const Facts& facts);

// Nothing is left that a rotation could do.
bool finished(const std::vector<BoardRow>& rows);
// ... and every key is proven dead.
bool proven(const std::vector<BoardRow>& rows);

// Names of the targets, the most urgent first: keys in use that they handled, the oldest first.
std::vector<std::string> in_order(const std::string& person, const Facts& facts);

}  // namespace keyturn::commands
