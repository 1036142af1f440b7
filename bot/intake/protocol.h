// What the page and the server say to each other, as JSON. Pure: no HTTP, no desk, no clock. Nothing here
// holds a key in the clear: the page seals it, and what is sealed is opened behind the desk.
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
std::expected<std::string, Malformed> read_token(std::string_view body);

// {"token","enc","ciphertext"}; the visitor is left empty.
std::expected<commands::SealedSubmission, Malformed> read_submission(std::string_view body);

// {"token","code","state"}: what Slack's redirect brought back.
struct SignInReturn {
  std::string token, code, state;
};
std::expected<SignInReturn, Malformed> read_sign_in(std::string_view body);

// `now` goes along, so that the page counts by our clock instead of the browser's; and so does the table by
// which the page says what a paste is before anything is sent.
std::string to_json(const commands::FormInfo& info, storage::TimePoint now);
std::string to_json(commands::FormClosed closed);
std::string to_json(const commands::FormReceived& received);
std::string to_json(const commands::FormRefused& refused);
std::string to_json(const commands::FormProgress& progress, storage::TimePoint now);
// `authorize`: where the browser goes to sign in.
std::string to_json(const commands::SignInNeeded& needed, const std::string& authorize);
// {"state":"malformed","sentence":"..."}: for whatever went wrong before the desk was asked.
std::string to_json(std::string_view state, std::string_view sentence);

}  // namespace keyturn::bot
