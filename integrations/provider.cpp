#include "integrations/provider.h"

#include <array>

namespace keyturn::integrations {

std::string_view name_of(Answer answer) {
  switch (answer) {
    case Answer::granted:
      return "granted";
    case Answer::denied:
      return "denied";
    case Answer::expired:
      return "expired";
    case Answer::unknown_key:
      return "unknown_key";
    case Answer::address:
      return "address";
    case Answer::inconclusive:
      return "inconclusive";
  }
  return "";
}

std::optional<Answer> answer_named(std::string_view name) {
  constexpr std::array kAnswers{Answer::granted,     Answer::denied,  Answer::expired,
                                Answer::unknown_key, Answer::address, Answer::inconclusive};
  for (const Answer answer : kAnswers) {
    if (name_of(answer) == name) return answer;
  }
  return std::nullopt;
}

}  // namespace keyturn::integrations
