// Asks everything and everybody what `keyturn doctor` wants to know, with the bot's own clients, and with
// reads alone. Judges nothing (see judgement.h). What an earlier answer made pointless is not asked.
// Thread: the caller's, inside examine(). Failure: of the world are part of what was seen.
#pragma once

#include "bot/config.h"
#include "bot/doctor/observed.h"

namespace keyturn::bot::doctor {

// `file`: where the settings came from. Takes as long as the slowest vendor; each call has a limit of its
// own.
Observed examine(const std::string& file, const Config& config, SecretsFound secrets);

}  // namespace keyturn::bot::doctor
