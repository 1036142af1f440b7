// Slack's mrkdwn, as our own views write it, as plain text: for the form's page. Pure.
#pragma once

#include <string>
#include <string_view>

namespace keyturn::commands::views {

// Links become their label, dates their fallback in UTC, a mention of `user` becomes `name` and any other its
// id; emphasis goes, entities become what they stand for.
std::string plain(std::string_view mrkdwn, std::string_view user, std::string_view name);

}  // namespace keyturn::commands::views
