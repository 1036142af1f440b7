#include "bot/doctor/doctor.h"

#include <iostream>
#include <sstream>

#include "bot/doctor/examination.h"
#include "bot/doctor/judgement.h"

namespace keyturn::bot::doctor {
namespace {

Observed only_mistakes(const std::string& file, const std::string& text) {
  Observed seen;
  seen.settings.file = file;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) seen.settings.mistakes.push_back(line);
  return seen;
}

}  // namespace

int examine_and_report(const std::string& settings) {
  const auto config = read_config(settings);
  const Observed seen = config ? examine(settings, *config, find_secrets(*config))
                               : only_mistakes(settings, config.error().text);
  const Findings findings = judge(config ? *config : Config(), seen);
  std::cout << report(findings);
  return exit_status(findings);
}

}  // namespace keyturn::bot::doctor
