// What the page and the server say to each other, as JSON. Pure: no HTTP, no desk, no clock.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "commands/form_desk.h"

namespace keyturn::bot {

// What is wrong with a request, for the person in front of the page. Holds nothing of the request.
struct Malformed {
  std::string sentence;
};

// {"token"}: the token.
std::expected<std::string, Malformed> read_look(std::string_view body);

// {"token","key","grace_seconds","rotated_at"}; `peer` is left empty.
std::expected<commands::FormSubmission, Malformed> read_submission(std::string_view body);

// `now` goes along, so that the page counts by our clock instead of the browser's; and so does the table by
// which the page says what a paste is before anything is sent.
std::string to_json(const commands::FormInfo& info, storage::TimePoint now);
std::string to_json(commands::FormClosed closed);
std::string to_json(const commands::FormReceived& received);
std::string to_json(const commands::FormRefused& refused);
// {"state":"malformed","sentence":"..."}: for whatever went wrong before the desk was asked.
std::string to_json(std::string_view state, std::string_view sentence);

std::string_view name_of(commands::FormClosed closed);

}  // namespace keyturn::bot
