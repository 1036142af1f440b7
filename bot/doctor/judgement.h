// Judges what was seen. Pure, one function for each part, so that every finding is a unit test. The verdicts
// on keys are those of the prerequisites (commands/rotation/judge.h): what a rotation would be refused for is
// wrong here.
#pragma once

#include "bot/config.h"
#include "bot/doctor/finding.h"
#include "bot/doctor/observed.h"

namespace keyturn::bot::doctor {

Findings judge_settings(const SettingsSeen& seen);
Findings judge_journal(const JournalSeen& seen);
Findings judge_slack(const SlackSettings& settings, const SlackSeen& seen);
Findings judge_infisical(const Config& config, const Observed& seen);
Findings judge_heroku(const Config& config, const Observed& seen);
Findings judge_stripe(const commands::Target& target, const TargetSeen& seen);
Findings judge_billing(const commands::Target& target, const TargetSeen& seen);
Findings judge_form(const FormSettings& settings, const FormSeen& seen, storage::TimePoint now);
Findings judge_clock(const ClockSeen& seen);

// All of them. With mistakes in the settings: those only, because there is nothing to judge by.
Findings judge(const Config& config, const Observed& seen);

// The scopes that deploy/slack/manifest.json asks for, each with what the bot can't do without it. (A test
// holds this to the manifest.)
const std::map<std::string, std::string>& wanted_scopes();

}  // namespace keyturn::bot::doctor
