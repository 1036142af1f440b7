#include "commands/views/board.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "commands/views/blocks.h"

namespace keyturn::commands::views {
namespace {

// Slack takes 50 blocks in a message, and 3,000 characters in one.
constexpr std::size_t kMostRows = 30;
constexpr std::size_t kSettledText = 2500;

bool is_settled(const BoardRow& row) {
  return row.state == RowState::done || row.state == RowState::not_needed;
}

std::string row_text(const BoardRow& row) {
  return fmt::format("*{}*  ·  *{}*  ·  {}", escape(row.target), in_words(row.state), row.words);
}

json row_block(const Campaign& campaign, const BoardRow& row, std::size_t number) {
  json block = section(row_text(row));
  block["block_id"] = fmt::format("offboard_{}", number);
  if (!row.startable) return block;
  const std::string what =
      campaign.compromise
          ? "A rotation for a suspected leak begins, with a short grace. You become its operator."
          : "A routine rotation begins. You become its operator.";
  const json buttons = actions(
      "b", {{std::string(kOffboardRotate), "Rotate", campaign.id + "/" + row.target, "primary", what}});
  block["accessory"] = buttons["elements"][0];
  return block;
}

// What needs nobody any more, in as few lines as possible.
json settled_block(const std::vector<BoardRow>& rows) {
  std::string text;
  std::size_t left_out = 0;
  for (const BoardRow& row : rows) {
    if (!is_settled(row)) continue;
    const std::string line = row_text(row);
    if (text.size() + line.size() > kSettledText) {
      ++left_out;
    } else {
      text += (text.empty() ? "" : "\n") + line;
    }
  }
  if (left_out > 0) text += fmt::format("\nand {} more that need nothing", left_out);
  return text.empty() ? json() : section(text);
}

std::string count_of(const std::vector<BoardRow>& rows) {
  const auto settled = std::ranges::count_if(rows, is_settled);
  return fmt::format("*{} of {} need nothing any more.*", settled, rows.size());
}

std::string introduction(const Campaign& campaign, const std::vector<BoardRow>& rows) {
  std::string text = fmt::format(
      "*{} may know the keys of these targets*, by what the journal says. Asked for by {} at {}{}. {}",
      mention(campaign.person), mention(campaign.by), date(campaign.started_at),
      campaign.compromise ? ", as a suspected leak" : "", count_of(rows));
  if (!campaign.open()) return text;
  return text +
         fmt::format(
             "\nBilling runs as before; each rotation says what changes. *What to do*: press *Rotate*, the "
             "first line first. Whoever presses is the operator; {} can't be.",
             mention(campaign.person));
}

}  // namespace

std::string_view in_words(RowState state) {
  switch (state) {
    case RowState::to_do:
      return "to do";
    case RowState::running:
      return "running";
    case RowState::waiting:
      return "waiting";
    case RowState::failed:
      return "failed";
    case RowState::done:
      return "done";
    case RowState::not_needed:
      return "not needed";
    case RowState::unproven:
      return "not proven";
  }
  return "unknown";
}

std::string conclusion(const Campaign& campaign, const std::vector<BoardRow>& rows) {
  if (!campaign.ended_by.empty())
    return fmt::format("*Ended by {}* before everything was rotated. {} may be an operator again.",
                       mention(campaign.ended_by), mention(campaign.person));
  if (!campaign.finished_at) return {};
  const auto done = std::ranges::count(rows, RowState::done, &BoardRow::state);
  const auto before = std::ranges::count(rows, RowState::not_needed, &BoardRow::state);
  const std::string needless = before == 0 ? "" : fmt::format(" ({} more needed nothing)", before);
  if (proven(rows)) {
    return fmt::format(
        "*All {} rotated*{}: every key is proven dead, and {} knows no live key any more, by what "
        "the journal says.",
        done, needless, mention(campaign.person));
  }
  return fmt::format(
      "*{} rotated*{}, and nothing is left that a rotation could do. *Not everything is proven*: "
      "what is called \"not proven\" may be alive, and {} may know it. *What to do*: look into the "
      "dashboard, and expire what is still there.",
      done, needless, mention(campaign.person));
}

Message board(const Campaign& campaign, const std::vector<BoardRow>& rows) {
  json blocks = json::array({header("Offboarding"), section(introduction(campaign, rows))});
  std::size_t shown = 0, hidden = 0;
  for (const BoardRow& row : rows) {
    if (is_settled(row)) continue;
    if (shown < kMostRows) {
      blocks.push_back(row_block(campaign, row, ++shown));
    } else {
      ++hidden;
    }
  }
  if (hidden > 0)
    blocks.push_back(context(fmt::format("and {} more, which come up when these are done", hidden)));
  if (json settled = settled_block(rows); !settled.is_null()) blocks.push_back(std::move(settled));
  if (const std::string end = conclusion(campaign, rows); !end.empty()) blocks.push_back(section(end));
  if (campaign.open()) {
    blocks.push_back(
        actions("offboard_end", {{std::string(kOffboardEnd), "End without rotating", campaign.id, "danger",
                                  "The board is closed. What was not rotated stays as it is, and that person "
                                  "may be an operator again."}}));
  }
  blocks.push_back(context("`" + campaign.id + "`"));
  return {.slot = campaign.id,
          .place = Place::team_channel,
          .live = true,
          .text = "Offboarding: keys to rotate",
          .blocks = std::move(blocks)};
}

}  // namespace keyturn::commands::views
