// The server's verdicts on pasted texts, for the test that holds the page's script to them: JSON lines
// {"text","mode"} on standard input, {"tidied","kind"} on standard output. Any failure ends it with status 1.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "integrations/stripe/key_format.h"

namespace stripe = keyturn::stripe;
using keyturn::integrations::Mode;

int main() try {
  // The first line: the rules, as the page gets them, for each mode.
  nlohmann::json rules;
  rules["live"] = nlohmann::json::parse(stripe::pasted_rules_json(Mode::live));
  rules["test"] = nlohmann::json::parse(stripe::pasted_rules_json(Mode::test));
  std::cout << rules.dump() << '\n';

  for (std::string line; std::getline(std::cin, line);) {
    const auto wish = nlohmann::json::parse(line);
    const Mode mode = wish.at("mode") == "live" ? Mode::live : Mode::test;
    const std::string tidied = stripe::tidy_paste(wish.at("text").get<std::string>());
    const auto kind = stripe::name_of(stripe::classify_paste(tidied, mode));
    std::cout << nlohmann::json{{"tidied", tidied}, {"kind", std::string(kind)}}.dump() << '\n';
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
